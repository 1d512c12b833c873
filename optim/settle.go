package optim

import (
	"cmp"

	"github.com/locus-learn/locus/internal/fault"
)

// Validate returns a fault that names the first key whose value [New] cannot use.
func (o Options) Validate() error {
	_, _, err := o.settled()
	return err
}

// settled puts defaults in place of zeros that mean nothing, and checks the rest: a program's options have not gone through
// a recipe, whose tags have the same bounds.
func (o Options) settled() (Options, Kind, error) {
	o.Name, o.Decay = cmp.Or(o.Name, "sgd"), cmp.Or(o.Decay, "all")
	o.Eps, o.Trust, o.Plain = cmp.Or(o.Eps, 1e-8), cmp.Or(o.Trust, 0.001), cmp.Or(o.Plain, 1)
	o.Accumulate = cmp.Or(o.Accumulate, 1)
	if len(o.Betas) == 0 {
		o.Betas = []float64{0.9, 0.999} // PyTorch's
	}
	kind, err := registered.Lookup(o.Name)
	if err != nil {
		return o, kind, err
	}
	if len(o.Betas) != 2 {
		return o, kind, fault.New("optim.betas is %v: must be two numbers, such as 0.9,0.999", o.Betas)
	}
	if o.Decay != "all" && o.Decay != "weights" {
		return o, kind, fault.New("optim.decay is %q: must be one of all, weights", o.Decay)
	}
	if o.Accumulate < 1 || o.Accumulate > 1e6 {
		return o, kind, fault.New("optim.accumulate is %d: must be from 1 to 1000000", o.Accumulate)
	}
	const most = 0.999999 // of what the past counts for in a mean
	for _, k := range []struct {
		key              string
		value, low, high float64
	}{
		{"lr", o.LR, 0, 1000}, {"momentum", o.Momentum, 0, 1}, {"weight_decay", o.WeightDecay, 0, 1000},
		{"betas[0]", o.Betas[0], 0, most}, {"betas[1]", o.Betas[1], 0, most}, {"eps", o.Eps, 0, 1},
		{"trust", o.Trust, 0, 1000}, {"plain", o.Plain, 0, 1000}, {"clip", o.Clip, 0, 1e9}, {"ema", o.EMA, 0, most},
	} {
		if !(k.value >= k.low && k.value <= k.high) { // NaN, too
			return o, kind, fault.New("optim.%s is %g: must be from %g to %g", k.key, k.value, k.low, k.high)
		}
	}
	return o, kind, nil
}
