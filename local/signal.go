package local

import "github.com/locus-learn/locus/torch"

// Signal is what a module hands to the next one. The receiver owns it. Where a rule asks for two views of each sample,
// X, Delta and Image are [2N, …], all first views in front of all second ones.
type Signal struct {
	X     torch.Tensor // features x_{k−1}, cut from their graph: [N, …]
	Y     torch.Tensor // labels [N], int64; for Classify also soft targets [N, classes], float32, and so where [Rule.MultiLabel] says
	Delta torch.Tensor // ∂L_{k−1}/∂x_{k−1}, a constant, shaped as X; no tensor where no term reads it

	// What a rule's [Needs] ask for, the same in front of every module; no tensor elsewhere.
	Image torch.Tensor // x_0 before it was normalised, in [0, 1]
	Error torch.Tensor // softmax of the network's logits less the one-hot labels, [N, classes] in float32 or better

	Mod torch.Tensor // features of a second pass, on a modulated input, shaped as X; where the credit makes one
}

// Part is one of the tensors of a signal.
type Part struct {
	Name  string
	Value *torch.Tensor
}

// Parts lists all that a signal may hold, in a fixed order: a field that is not here is neither handed on nor freed.
func (s *Signal) Parts() []Part {
	return []Part{{"x", &s.X}, {"y", &s.Y}, {"delta", &s.Delta}, {"image", &s.Image}, {"error", &s.Error}, {"mod", &s.Mod}}
}

// Map returns the signal that f makes of a signal's tensors, one by one; it is not asked where there is no tensor.
func (s Signal) Map(f func(torch.Tensor) torch.Tensor) Signal {
	for _, p := range s.Parts() {
		if p.Value.Defined() {
			*p.Value = f(*p.Value)
		}
	}
	return s
}

// Free releases what the signal still holds.
func (s Signal) Free() {
	for _, p := range s.Parts() {
		p.Value.Free()
	}
}

// samples returns N.
func (s Signal) samples() int64 { return s.Y.Shape()[0] }

// rows returns a signal of the first n samples, with all their views, copies that scope sc owns.
func (s Signal) rows(sc *torch.Scope, n int64) Signal {
	all := s.samples()
	return s.Map(func(t torch.Tensor) torch.Tensor {
		first := sc.Narrow(t, 0, 0, n)
		defer first.Free()
		if t.Shape()[0] == all {
			return sc.Clone(first)
		}
		second := sc.Narrow(t, 0, all, n)
		defer second.Free()
		return sc.Cat(first, second, 0)
	})
}

// adopt makes a scope responsible for a signal, so that nothing leaks when a step panics.
func adopt(s *torch.Scope, in Signal) { in.Map(s.Adopt) }
