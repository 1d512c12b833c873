package local

import "github.com/locus-learn/locus/torch"

// None adds nothing: plain local learning.
type None struct{}

// Reads implements [Term].
func (None) Reads(int) bool { return false }

// Kind implements [Repeats].
func (None) Kind(*Rule, *Module, torch.DType, Tick) (string, bool) { return "", true }

// Gradients implements [Term].
func (None) Gradients(w *Work) (Gradients, Agreement) {
	return w.Gradients(w.In.X, w.DType, nil, Want{}), unmeasured
}
