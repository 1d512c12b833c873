package nn

// SplitLinear takes a head that ends in a linear layer apart: what is in front of that layer, and the layer. It reports whether
// the head does.
func SplitLinear(l Layer) (front Sequential, last *Linear, ok bool) {
	switch l := l.(type) {
	case *Linear:
		return nil, l, true
	case *Frozen:
		return SplitLinear(l.Layer)
	case Sequential:
		if len(l) == 0 {
			return nil, nil, false
		}
		n := len(l) - 1
		inner, last, ok := SplitLinear(l[n])
		return append(l[:n:n], inner...), last, ok
	}
	return nil, nil, false
}
