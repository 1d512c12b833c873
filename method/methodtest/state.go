package methodtest

import (
	"fmt"
	"math"
	"slices"

	"github.com/locus-learn/locus/internal/seed"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// state holds copies of parameters and buffers by name.
type state map[string][]float64

func stateOf(params []*nn.Param) state {
	s := state{}
	for _, p := range params {
		s[p.Name] = p.Value.Float64s()
	}
	return s
}

// differs returns a name under which two states differ, or "".
func (s state) differs(other state, params []*nn.Param) string {
	for _, p := range params {
		if !slices.Equal(s[p.Name], other[p.Name]) {
			return p.Name
		}
	}
	return ""
}

// update returns how far the trainable ones of params have moved since before, as one vector.
func update(params []*nn.Param, before state) []float64 {
	var v []float64
	for _, p := range params {
		if p.Trainable {
			for i, x := range p.Value.Float64s() {
				v = append(v, x-before[p.Name][i])
			}
		}
	}
	return v
}

// distance is ‖a − b‖/‖b‖.
func distance(a, b []float64) float64 {
	var d, n float64
	for i := range a {
		d += (a[i] - b[i]) * (a[i] - b[i])
		n += b[i] * b[i]
	}
	return math.Sqrt(d / n)
}

// shake adds noise to the trainable parameters and reports whether there are any.
func shake(params []*nn.Param, stream string) bool {
	s := torch.CPU.Scope(torch.NoGrad)
	defer s.Close()
	some := false
	for _, p := range params {
		if !p.Trainable {
			continue
		}
		some = true
		noise := s.ZerosLike(p.Value)
		noise.Normal(0, 0.1, seed.Derive(1, stream+"/"+p.Name))
		s.AddInPlace(p.Value, noise, 1)
	}
	return some
}

// trace is what a step did: the signal in front of each module, and the module's state after it.
type trace struct {
	signals []local.Signal
	after   []state
}

func (t trace) free() {
	for _, s := range t.signals {
		s.Free()
	}
}

// copyOf returns a signal that the caller owns.
func copyOf(in local.Signal) local.Signal {
	return in.Map(func(t torch.Tensor) torch.Tensor {
		s := t.Device().Scope(torch.NoGrad)
		defer s.Close()
		return s.Clone(t).Keep()
	})
}

// drive trains every module once on the batch of seed 1. pass, which may be nil, sees and may exchange what module k gets.
// The caller frees the trace.
func (r *trial) drive(pass func(k int, in local.Signal) local.Signal) (t trace, err error) {
	defer torch.Catch(&err)
	x, y := r.batch(1)
	signal, err := r.Enter(x, y, 0)
	if err != nil {
		return t, err
	}
	for _, m := range r.Modules() {
		if pass != nil {
			signal = pass(m.Index, signal)
		}
		t.signals = append(t.signals, copyOf(signal))
		if signal, _, err = r.Rule.Train(m, signal, r.DType, local.Tick{LR: 0.1}); err != nil {
			return t, err
		}
		t.after = append(t.after, stateOf(m.Params))
	}
	signal.Free()
	return t, nil
}

// same returns an error if module m is not in the state that a trace left it in.
func (t trace) same(m *local.Module, what string) error {
	if name := t.after[m.Index-1].differs(stateOf(m.Params), m.Params); name != "" {
		return fmt.Errorf("%s changes %s of module %d", what, name, m.Index)
	}
	return nil
}
