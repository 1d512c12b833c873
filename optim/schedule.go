package optim

import (
	"math"
	"slices"

	"github.com/locus-learn/locus/internal/fault"
)

// ScheduleOptions is the `schedule` section of a recipe. Epochs are counted in fractions: the rate changes every step.
type ScheduleOptions struct {
	Name       string  `recipe:"name" default:"cosine" oneof:"cosine multistep constant" doc:"how the learning rate falls"`
	Epochs     int     `recipe:"epochs" default:"1" min:"1" max:"1000000" doc:"length of the training"`
	Warmup     float64 `recipe:"warmup" default:"0" min:"0" max:"1000000" doc:"epochs of linear rise from 0 to optim.lr"`
	MinLR      float64 `recipe:"min_lr" default:"0" min:"0" max:"1000" doc:"where the cosine ends"`
	Milestones []int   `recipe:"milestones" default:"" min:"0" max:"1000000" doc:"epochs at which multistep multiplies the rate by gamma"`
	Gamma      float64 `recipe:"gamma" default:"0.1" min:"0" max:"1000" doc:"factor at each milestone"`
}

// Validate checks what single keys cannot.
func (o ScheduleOptions) Validate() error {
	if o.Warmup >= float64(o.Epochs) && o.Warmup > 0 {
		return fault.New("schedule.warmup is %g: must be less than schedule.epochs, %d", o.Warmup, o.Epochs)
	}
	if !slices.IsSorted(o.Milestones) {
		return fault.New("schedule.milestones is %v: must rise", o.Milestones)
	}
	return nil
}

// Rate returns the learning rate of step (from 0) of a training of total steps, whose top rate is lr. Lengths in
// epochs are turned into steps by perEpoch. The cosine reaches MinLR at total, whatever Epochs says: a run that is
// shortened to a number of steps still anneals.
func (o ScheduleOptions) Rate(lr float64, step, total, perEpoch int) float64 {
	warm := o.Warmup * float64(perEpoch)
	if whole := float64(o.Epochs * perEpoch); float64(total) < whole {
		warm *= float64(total) / whole
	}
	s := float64(step)
	if s < warm {
		return lr * (s + 1) / (math.Floor(warm) + 1)
	}
	switch o.Name {
	case "cosine":
		t := (s - warm) / max(float64(total)-warm, 1)
		return o.MinLR + (lr-o.MinLR)*(1+math.Cos(math.Pi*min(t, 1)))/2
	case "multistep":
		for _, m := range o.Milestones {
			if step >= m*perEpoch {
				lr *= o.Gamma
			}
		}
	}
	return lr
}
