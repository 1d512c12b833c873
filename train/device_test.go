package train

import (
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// deviceNets are tried in this order; the first that a method can train is its.
var deviceNets = [][]string{
	{"model.name=resnet32", "model.depth=8", "model.width=8"},
	{"model.name=plainnet32", "model.depth=8", "model.width=8"},
	{"model.name=plain7", "model.width=8"},
	{"model.name=mlp", "model.depth=3", "model.width=24"},
}

// Steps of every method on the device named by LOCUS_TEST_DEVICE end where those of the CPU do.
func TestDeviceMethods(t *testing.T) {
	device := os.Getenv("LOCUS_TEST_DEVICE")
	if device == "" || device == "cpu" {
		t.Skip("LOCUS_TEST_DEVICE names no device besides the CPU")
	}
	for _, m := range method.All() {
		t.Run(m.Name, func(t *testing.T) {
			cpu, loss := stepped(t, m.Name, "cpu")
			there, lossThere := stepped(t, m.Name, device)
			worst, where := 0.0, ""
			for name, want := range cpu {
				if d := distance(there[name], want); d > worst {
					worst, where = d, name
				}
			}
			t.Logf("worst relative error %.1e, of the update of %s; losses %.6g and %.6g", worst, where, loss, lossThere)
			if !(worst < 2e-2) {
				t.Errorf("the update of %s differs by %.1e", where, worst)
			}
		})
	}
}

// stepped takes three steps by a method on a device and returns how far every parameter has moved, and the last loss.
func stepped(t *testing.T, name, device string) (moved map[string][]float64, loss float64) {
	t.Helper()
	m := deviceModel(t, name, device)
	defer m.Free()
	start := map[string][]float64{}
	for _, p := range m.Params() {
		start[p.Name] = p.Value.Float64s()
	}
	for step := range 3 {
		s := torch.NewScopeOn(m.Device(), torch.NoGrad)
		x, labels := s.Full(torch.Float32, 0, 12*int64(m.Views()), 3, 16, 16), make([]int64, 12)
		x.Uniform(-2, 2, uint64(step+1))
		for i := range labels {
			labels[i] = int64((i + step) % 4)
		}
		y := s.FromInts(labels).Keep()
		x.Keep()
		s.Close()
		left, err := m.Learner.Step(x, y, local.Tick{Step: step, Done: float64(step) / 3, LR: 0.05})
		if err != nil {
			t.Fatal(err)
		}
		rest, err := m.Learner.Drain()
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range append(left, rest...) {
			loss = o.Stats[len(o.Stats)-1].Loss
		}
	}
	moved = map[string][]float64{}
	for _, p := range m.Params() {
		if p.Trainable {
			v := p.Value.Float64s()
			for i := range v {
				v[i] -= start[p.Name][i]
			}
			moved[p.Name] = v
		}
	}
	return moved, loss
}

func deviceModel(t *testing.T, name, device string) *Model {
	t.Helper()
	var refused error
	for _, net := range deviceNets {
		c, err := Load("", append([]string{
			"method.name=" + name, "device=" + device, "threads=1", "method.modules=3", "head.width=8", "head.widths=24,32,32",
			"data.augment=barlow", "method.lambda=5", "method.reduction=batch", "optim.name=sgd",
		}, net...))
		if err != nil {
			t.Fatal(err)
		}
		m, err := NewModel(c, model.Input{
			Shape: nn.Shape{C: 3, H: 16, W: 16}, Classes: 4, Mean: []float64{0.5, 0.5, 0.5}, Std: []float64{0.25, 0.25, 0.25},
		}, false)
		if err == nil {
			return m
		}
		refused = err
	}
	t.Fatal(fmt.Errorf("no net fits: %w", refused))
	return nil
}

// distance is ‖got − want‖/‖want‖, and 0 for two vectors of zeros.
func distance(got, want []float64) float64 {
	var d, n float64
	for i := range want {
		d += (got[i] - want[i]) * (got[i] - want[i])
		n += want[i] * want[i]
	}
	if d == 0 {
		return 0
	}
	return math.Sqrt(d / n)
}
