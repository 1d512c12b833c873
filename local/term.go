package local

// None adds nothing: plain local learning.
type None struct{}

// Reads implements [Term].
func (None) Reads(int) bool { return false }

// Gradients implements [Term].
func (None) Gradients(w *Work) (Gradients, Agreement) {
	return w.Gradients(w.In.X, w.DType, nil, Want{}), unmeasured
}
