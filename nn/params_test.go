package nn_test

import (
	"math"
	"slices"
	"testing"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/nn/nntest"
	"github.com/locus-learn/locus/torch"
)

// forward is all that a layer of one's own owes.
type forward struct{}

func (forward) Forward(_ *nn.Pass, x torch.Tensor) torch.Tensor { return x }

type (
	// mixed has parts of every kind, in fields that nobody else can read.
	mixed struct {
		forward
		own    *nn.Param
		absent *nn.Param
		layer  nn.Layer
		inner  struct{ list []*nn.Linear }
		cells  []int64
		seen   torch.Tensor
		again  *nn.Param
	}
	// ordered says its parameters itself.
	ordered struct {
		forward
		first, second *nn.Param
	}
	// table keeps parameters without an order.
	table struct {
		forward
		params map[string]*nn.Param
	}
	// around embeds a layer whose methods must not speak for it.
	around struct {
		*nn.Linear
		scale *nn.Param
	}
)

func (o *ordered) Params() []*nn.Param { return []*nn.Param{o.second, o.first} }

func named(name string) *nn.Param { return &nn.Param{Name: name} }

func TestParamsFromParts(t *testing.T) {
	a, b, c := named("a"), named("b"), named("c")
	linear := func(p *nn.Param) *nn.Linear { return &nn.Linear{Weight: p} }
	m := mixed{own: a, absent: nil, seen: torch.Tensor{}, layer: nn.Sequential{nn.ReLU{}, linear(b)}, cells: []int64{1}, again: a}
	m.inner.list = []*nn.Linear{linear(c), nil}
	for _, tt := range []struct {
		name  string
		layer nn.Layer
		want  []*nn.Param
	}{
		{"none", nn.ReLU{}, nil},
		{"no layer", nil, nil},
		{"fields in order", &nn.Linear{Weight: a, Bias: b}, []*nn.Param{a, b}},
		{"every kind of part", &m, []*nn.Param{a, b, c}},
		{"a layer that is no pointer", m, []*nn.Param{a, b, c}},
		{"said by the layer", &ordered{first: a, second: b}, []*nn.Param{b, a}},
		{"said by a part", nn.Sequential{linear(c), &ordered{first: a, second: b}}, []*nn.Param{c, b, a}},
		{"around an embedded layer", &around{linear(a), b}, []*nn.Param{a, b}},
		{"one layer in two places", nn.Sequential{linear(a), linear(b), linear(a)}, []*nn.Param{a, b}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := nn.Params(tt.layer); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestParamsInMap(t *testing.T) {
	err := func() (err error) {
		defer torch.Catch(&err)
		nn.Params(table{params: map[string]*nn.Param{"a": named("a")}})
		return nil
	}()
	if err == nil {
		t.Error("parameters in a map are passed over in silence")
	}
}

// TestTangentsAreSaid: parts that have derivatives give none to a layer around them.
func TestTangentsAreSaid(t *testing.T) {
	for _, tt := range []struct {
		name  string
		layer nn.Layer
		want  bool
	}{
		{"a layer of the library", &nn.Linear{}, true},
		{"a sequence of such", nn.Sequential{&nn.Linear{}, nn.ReLU{}}, true},
		{"arithmetic of its own", mixed{layer: nn.ReLU{}}, false},
		{"a sequence with such", nn.Sequential{nn.ReLU{}, mixed{}}, false},
		{"around an embedded layer", &around{&nn.Linear{}, nil}, false},
	} {
		if got := nn.Tangents(tt.layer); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// A convolution that starts by Dirac hands on the channels that it has outputs for, and draws the rest.
func TestDirac(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	for _, c := range []struct{ in, out, k int }{{3, 5, 3}, {4, 4, 3}, {5, 2, 3}, {2, 3, 5}, {2, 2, 1}} {
		l := nn.NewConv2d(nn.Init{Seed: 1, Device: torch.CPU}, c.in, c.out, c.k, 1, nn.Dirac())
		x := s.FromDoubles(nntest.Formula("x", int64(2*c.in*6*6)), 2, int64(c.in), 6, 6)
		y := l.Forward(nn.Train(s, torch.Float64, nil), s.Alias(x))
		same := int64(min(c.in, c.out))
		if got, want := s.Narrow(y, 1, 0, same).Float64s(), s.Narrow(x, 1, 0, same).Float64s(); !slices.Equal(got, want) {
			t.Errorf("%+v: the first %d channels are not handed on", c, same)
		}
		bound := 1 / math.Sqrt(float64(c.in*c.k*c.k))
		var largest float64
		for _, v := range l.Weight.Value.Float64s()[int(same)*c.in*c.k*c.k:] {
			largest = max(largest, math.Abs(v))
		}
		if drawn := c.out > c.in; drawn != (largest > 0.5*bound) || largest > bound {
			t.Errorf("%+v: the largest weight that is drawn is %v, the bound %v", c, largest, bound)
		}
		nn.Free(nn.Params(l))
	}
}
