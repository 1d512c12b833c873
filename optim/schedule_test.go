package optim_test

import (
	"math"
	"testing"

	"github.com/locus-learn/locus/optim"
)

const perEpoch = 100

func same(a, b float64) bool { return math.Abs(a-b) <= 1e-12*math.Abs(b)+1e-15 }

func TestRate(t *testing.T) {
	cosine := optim.ScheduleOptions{Name: "cosine", Epochs: 10, MinLR: 0.01}
	warm := optim.ScheduleOptions{Name: "cosine", Epochs: 10, Warmup: 2}
	steps := optim.ScheduleOptions{Name: "multistep", Epochs: 10, Milestones: []int{3, 6}, Gamma: 0.1}
	constant := optim.ScheduleOptions{Name: "constant", Epochs: 10, Warmup: 0.5}
	for _, tt := range []struct {
		name        string
		o           optim.ScheduleOptions
		step, total int
		want        float64 // where optim.lr is 0.4
	}{
		{"cosine begins at the top", cosine, 0, 1000, 0.4},
		{"cosine is half way at half time", cosine, 500, 1000, (0.4 + 0.01) / 2},
		{"cosine at a third", cosine, 250, 750, 0.01 + 0.39*0.75}, // cos 60° = 1/2
		{"cosine ends at the least rate", cosine, 1000, 1000, 0.01},
		{"cosine of a shortened run ends there too", cosine, 40, 40, 0.01},
		{"cosine past the end stays", cosine, 1300, 1000, 0.01},
		{"warm-up begins above 0", warm, 0, 1000, 0.4 / 201},
		{"warm-up is linear", warm, 99, 1000, 0.4 * 100 / 201},
		{"warm-up's last step", warm, 199, 1000, 0.4 * 200 / 201},
		{"warm-up ends at the top", warm, 200, 1000, 0.4},
		{"cosine behind a warm-up", warm, 600, 1000, 0.2},
		{"warm-up shrinks with a shortened run", warm, 20, 100, 0.4},
		{"before the first milestone", steps, 299, 1000, 0.4},
		{"at the first milestone", steps, 300, 1000, 0.04},
		{"before the second", steps, 599, 1000, 0.04},
		{"at the second", steps, 600, 1000, 0.004},
		{"at the end", steps, 999, 1000, 0.004},
		{"constant rises", constant, 24, 1000, 0.4 * 25 / 51},
		{"constant stays", constant, 999, 1000, 0.4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.o.Rate(0.4, tt.step, tt.total, perEpoch); !same(got, tt.want) {
				t.Errorf("step %d of %d: rate %v, want %v", tt.step, tt.total, got, tt.want)
			}
		})
	}
}

// The rate never jumps up behind the warm-up, never falls within it and stays in [min_lr, lr].
func TestRateIsMonotone(t *testing.T) {
	for _, warmup := range []float64{0, 0.5, 2} {
		o := optim.ScheduleOptions{Name: "cosine", Epochs: 5, Warmup: warmup, MinLR: 0.001}
		top := int(warmup * perEpoch)
		for step := 1; step < 5*perEpoch; step++ {
			before, now := o.Rate(1, step-1, 5*perEpoch, perEpoch), o.Rate(1, step, 5*perEpoch, perEpoch)
			if rises := step <= top; now > before != rises || now > 1 || now < 0.001 {
				t.Fatalf("warm-up %g: rate goes from %g to %g at step %d", warmup, before, now, step)
			}
		}
	}
}

func TestScheduleValidate(t *testing.T) {
	for _, tt := range []struct {
		o    optim.ScheduleOptions
		want string
	}{
		{optim.ScheduleOptions{Epochs: 5, Warmup: 4.5, Milestones: []int{2, 4}}, ""},
		{optim.ScheduleOptions{Epochs: 5, Warmup: 5}, "schedule.warmup is 5: must be less than schedule.epochs, 5"},
		{optim.ScheduleOptions{Epochs: 5, Milestones: []int{4, 2}}, "schedule.milestones is [4 2]: must rise"},
	} {
		var got string
		if err := tt.o.Validate(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.o, got, tt.want)
		}
	}
}
