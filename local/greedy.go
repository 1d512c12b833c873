package local

// OneByOne trains the modules in order, each for the same share of the training. Those before it are frozen, those
// behind it idle.
type OneByOne struct{}

// Phase implements [Schedule].
func (OneByOne) Phase(k, K int, done float64) Phase {
	const rounding = 1e-9 // of done·K, far below a step's share
	switch at := 1 + int(done*float64(K)+rounding); {
	case k < at:
		return Frozen
	case k > at:
		return Idle
	default:
		return Trains
	}
}

// Cycles implements [Schedule].
func (OneByOne) Cycles(K int) int { return K }
