package optim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/nn/nntest"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/torch"
)

// variants are those of more.py.
var variants = map[string]optim.Options{
	"adamw":         {Name: "adamw", WeightDecay: 0.05},
	"adamw_betas":   {Name: "adamw", Betas: []float64{0.8, 0.95}, Eps: 1e-3},
	"adamw_weights": {Name: "adamw", WeightDecay: 0.05, Decay: "weights"},
	"sgd_weights":   {Name: "sgd", Momentum: 0.9, WeightDecay: 0.05, Decay: "weights"},
	"lars":          {Name: "lars", Momentum: 0.9, WeightDecay: 0.05, Trust: 0.001},
	"lars_weights":  {Name: "lars", Momentum: 0.9, WeightDecay: 0.05, Trust: 0.001, Decay: "weights"},
	"clip":          {Name: "sgd", Momentum: 0.9, Clip: 7},
	"accumulate":    {Name: "adamw", WeightDecay: 0.05, Accumulate: 2},
	"ema":           {Name: "sgd", Momentum: 0.9, EMA: 0.9},
}

func options(variant string) optim.Options {
	o := variants[variant]
	if o.Betas == nil {
		o.Betas, o.Eps = []float64{0.9, 0.999}, 1e-8
	}
	return o
}

// trainee is an optimizer over parameters that start where more.py's do.
type trainee struct {
	optim.Optimizer
	weight, bias *nn.Param
	g            nntest.Golden
}

func newTrainee(t *testing.T, s *torch.Scope, g nntest.Golden, o optim.Options) trainee {
	param := func(name string) *nn.Param {
		return &nn.Param{Name: name, Value: s.Clone(g.Get(t, "start|"+name)).SetRequiresGrad(true), Trainable: true}
	}
	w, b := param("weight"), param("bias")
	made := optim.New(o, []*nn.Param{w, b})
	t.Cleanup(made.Free)
	return trainee{made, w, b, g}
}

func (r trainee) step(t *testing.T, s *torch.Scope, i int) {
	grad := func(name string) torch.Tensor { return s.Clone(r.g.Get(t, fmt.Sprintf("grad|%d|%s", i, name))) }
	r.Step([]torch.Tensor{grad("weight"), grad("bias")}, rates[i])
}

func TestOptimizersAgreeWithPyTorch(t *testing.T) {
	for variant := range variants {
		t.Run(variant, func(t *testing.T) {
			s := torch.NewScope(torch.NoGrad)
			defer s.Close()
			r := newTrainee(t, s, nntest.Open(t, s, "testdata/more.safetensors"), options(variant))
			var worst float64
			for i := range rates {
				r.step(t, s, i)
				for _, p := range []*nn.Param{r.weight, r.bias} {
					want := r.g.Get(t, fmt.Sprintf("%s|%d|%s", variant, i, p.Name))
					worst = max(worst, nntest.Close(t, p.Name, p.Value, want, 1e-6))
				}
			}
			for _, state := range r.State() {
				if name, ok := strings.CutSuffix(state.Name, ".ema"); ok {
					worst = max(worst, nntest.Close(t, state.Name, state.Value, r.g.Get(t, "ema|mean|"+name), 1e-6))
				}
			}
			t.Logf("worst relative error %.1e", worst)
		})
	}
}

// What State lists is all that a fresh optimizer needs to go on, bit for bit, wherever the first one stopped.
func TestStateIsAllThatGoingOnNeeds(t *testing.T) {
	for variant := range variants {
		for stop := 1; stop < len(rates); stop++ {
			t.Run(fmt.Sprint(variant, " after ", stop), func(t *testing.T) {
				s := torch.NewScope(torch.NoGrad)
				defer s.Close()
				g := nntest.Open(t, s, "testdata/more.safetensors")
				through, resumed := newTrainee(t, s, g, options(variant)), newTrainee(t, s, g, options(variant))
				for i := range stop {
					through.step(t, s, i)
				}
				var names []string
				for i, from := range through.State() {
					to := resumed.State()[i]
					if names = append(names, from.Name); to.Name != from.Name {
						t.Fatalf("state %d is %s and %s", i, from.Name, to.Name)
					}
					to.Value.Copy(from.Value)
				}
				slices.Sort(names)
				if len(slices.Compact(slices.Clone(names))) != len(names) {
					t.Errorf("names occur twice: %v", names)
				}
				resumed.weight.Value.Copy(through.weight.Value)
				resumed.bias.Value.Copy(through.bias.Value)
				for i := stop; i < len(rates); i++ {
					through.step(t, s, i)
					resumed.step(t, s, i)
				}
				if !resumed.weight.Value.Equal(through.weight.Value) || !resumed.bias.Value.Equal(through.bias.Value) {
					t.Error("the resumed run differs")
				}
			})
		}
	}
}

// A step allocates no more than a little: gradients and state are all the room it needs.
func TestStepsNeedNoRoomOfTheirOwn(t *testing.T) {
	for variant := range variants {
		t.Run(variant, func(t *testing.T) {
			s := torch.NewScope(torch.NoGrad)
			defer s.Close()
			param := func(name string) *nn.Param {
				return &nn.Param{Name: name, Value: s.Full(torch.Float32, 1, 256, 256).SetRequiresGrad(true), Trainable: true}
			}
			params := []*nn.Param{param("a"), param("b"), param("c"), param("d")}
			made := optim.New(options(variant), params)
			defer made.Free()
			for range 2 {
				var grads []torch.Tensor
				for range params {
					grads = append(grads, s.Full(torch.Float32, 0.1, 256, 256))
				}
				before := torch.LiveBytes()
				torch.ResetPeak()
				made.Step(grads, 0.01)
				if room := torch.PeakBytes() - before; room > params[0].Value.Bytes() {
					t.Errorf("a step has needed %d bytes beside its tensors of %d", room, params[0].Value.Bytes())
				}
			}
		})
	}
}

func TestOptionsValidate(t *testing.T) {
	err := optim.Options{Betas: []float64{0.9}}.Validate()
	if want := "optim.betas is [0.9]: must be two numbers, such as 0.9,0.999"; err == nil || err.Error() != want {
		t.Errorf("%v, want %q", err, want)
	}
}

// The factor of plain steps is one of their rate, and leaves the other tensors alone.
func TestPlainStepsHaveARateOfTheirOwn(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	g := nntest.Open(t, s, "testdata/more.safetensors")
	run := func(plain, factor float64) (weight, bias []float64) {
		o := options("lars_weights")
		o.Plain = plain
		r := newTrainee(t, s, g, o)
		for i := range 3 {
			grad := func(name string) torch.Tensor { return s.Clone(g.Get(t, fmt.Sprintf("grad|%d|%s", i, name))) }
			r.Step([]torch.Tensor{grad("weight"), grad("bias")}, factor*rates[i])
		}
		return r.weight.Value.Float64s(), r.bias.Value.Float64s()
	}
	weight, bias := run(0.25, 1)
	plainWeight, _ := run(1, 1)
	_, slowBias := run(1, 0.25)
	if !slices.Equal(weight, plainWeight) {
		t.Error("weights differ")
	}
	if e := nntest.RelativeError(bias, slowBias); e > 1e-6 {
		t.Errorf("the bias is off by %.1e from one at a quarter of the rate", e)
	}
}
