package method

import (
	"slices"
	"strings"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/registry"
	"github.com/locus-learn/locus/local"
)

var registered = registry.New("method.name", func(m Method) string { return m.Name })

func init() {
	for _, m := range []Method{
		bp, layerwise, sgr, greedy, dgl, infopro, infoproContrast, reforward, etf, etfSGR, etfReforward, fa, dfa, drtp, pepita,
		barlow, barlowBlockwise, barlowSGR,
	} {
		Register(m)
	}
}

// Register adds a method, which recipes then name in method.name. It panics on a name that is taken or on a method that
// does not say how it is composed.
func Register(m Method) {
	if m.Compose == nil {
		panic("method " + m.Name + " has no Compose")
	}
	registered.Add(m)
}

// All lists the methods in the order in which they were registered.
func All() []Method { return registered.All() }

// Lookup finds the method that o names and settles the options that it fixes.
func Lookup(o Options) (Method, Options, error) {
	m, err := registered.Lookup(o.Name)
	if err != nil {
		return Method{}, o, err
	}
	if err := o.Validate(); err != nil {
		return Method{}, o, err
	}
	if m.Cut == Nowhere {
		o.Modules, o.Cuts = 1, nil
	}
	if o, err = o.settled(); err != nil {
		return Method{}, o, err
	}
	_, auto := o.Auto()
	if auto && m.Cut == Everywhere {
		return Method{}, o, fault.New("method.cuts is %s: must be empty for method.name %s, which cuts behind every block", o.Cuts[0], o.Name)
	}
	if o.Pipeline > 0 && m.Claims.Locking == Inside {
		return Method{}, o, fault.New("method.pipeline is %d: must be 0 for method.name %s, whose modules wait for the network's error", o.Pipeline, o.Name)
	}
	if o.Pipeline > 0 && o.Modules == 1 && (len(o.Cuts) == 0 || auto) && m.Cut != Everywhere {
		return Method{}, o, fault.New("method.pipeline is %d: must be 0 for a network of one module, which has nobody to work beside (method.name %s)", o.Pipeline, o.Name)
	}
	if err := m.checkResident(o); err != nil {
		return Method{}, o, err
	}
	if err := m.checkGradient(o); err != nil {
		return Method{}, o, err
	}
	if m.Check != nil {
		if err := m.Check(o); err != nil {
			return Method{}, o, err
		}
	}
	if o.SGR {
		if m, err = m.withSGR(o); err != nil {
			return Method{}, o, err
		}
	}
	return m, o, m.checkTangent(o)
}

// checkTangent refuses a tangent where it is known, before there is any module, that none can be taken.
func (m Method) checkTangent(o Options) error {
	if local.Way(o.Gradient) != local.Tangent {
		return nil
	}
	rule, _ := m.Compose(o)
	t, ok := rule.Term.(*local.Reconcile)
	switch {
	case !ok:
		return nil
	case t.Fraction > 0 && t.Fraction < 1:
		return fault.New("method.fraction is %g: must be 1 with method.gradient tangent; auto and directional take a part of the batch", t.Fraction)
	case !rule.Tangents():
		return fault.New("method.gradient is tangent: must be auto, directional, shifted or double for method.name %s with this loss and credit; a tangent needs the cross-entropy, and method.checkpoint none", o.Name)
	}
	return nil
}

// checkGradient refuses a way to the term's gradient that the method does not have.
func (m Method) checkGradient(o Options) error {
	all := m.GradientOptions
	if all == nil {
		all = []string{"directional", "shifted", "tangent", "double"}
	}
	if o.Gradient == "auto" || slices.Contains(all, o.Gradient) {
		return nil
	}
	return fault.New("method.gradient is %s: must be auto or one of %s for method.name %s", o.Gradient, strings.Join(all, ", "), m.Name)
}

// checkResident refuses to keep a part of the modules in memory where a method needs all of them at once.
func (m Method) checkResident(o Options) error {
	const fits = "fits methods whose modules wait for nothing behind them, such as sgr or layerwise"
	switch {
	case o.Resident == 0:
		return nil
	case m.Cut == Nowhere:
		return fault.New("method.resident is %d: must be 0 for method.name %s, whose one module is the whole network; %s", o.Resident, o.Name, fits)
	case m.Claims.Locking != Never:
		return fault.New("method.resident is %d: must be 0 for method.name %s, whose modules wait for the network's error; %s", o.Resident, o.Name, fits)
	case o.Pipeline > 0:
		return fault.New("method.resident is %d: must be 0 with method.pipeline %d, whose modules work at the same time", o.Resident, o.Pipeline)
	case m.Cut == Anywhere && o.Resident > o.modules():
		return fault.New("method.resident is %d: must be at most %d, the number of modules", o.Resident, o.modules())
	}
	return nil
}

// modules is their number for a method that cuts where it is told.
func (o Options) modules() int {
	if _, auto := o.Auto(); len(o.Cuts) > 0 && !auto {
		return len(o.Cuts) + 1
	}
	return o.Modules
}
