package methodtest

import (
	"errors"
	"fmt"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// isolation: another loss of module j, by another head, leaves the modules before it as they were, bit for bit, and those
// behind it, too, when they get the signals that they got before. A module that back-propagates its own loss is moved.
func isolation(s *Subject) (note string, err error) {
	base, err := s.trial(torch.Float32)
	if err != nil {
		return "", err
	}
	defer base.free()
	want, err := base.drive(nil)
	if err != nil {
		return "", err
	}
	defer want.free()
	n := len(base.Modules())
	if n == 1 {
		return "one module: nothing to isolate", nil
	}
	tried := 0
	for j := 1; j <= n; j++ {
		shaken, err := s.isolates(j, want)
		if err != nil {
			return "", err
		}
		if shaken {
			tried++
		}
	}
	return fmt.Sprintf("%d of %d modules' losses changed, one at a time", tried, n), nil
}

// isolates changes the loss of module j; it reports whether there was something to change.
func (s *Subject) isolates(j int, want trace) (shaken bool, err error) {
	r, err := s.trial(torch.Float32)
	if err != nil {
		return false, err
	}
	defer r.free()
	changed := r.Modules()[j-1]
	if !shake(nn.Params(changed.Head), "methodtest/head") {
		return false, nil
	}
	t, err := r.drive(func(k int, in local.Signal) local.Signal {
		switch {
		case k > j:
			in.Free()
			return copyOf(want.signals[k-1])
		case in.Error.Defined(): // the one thing by which what is behind may reach what is before: see locking
			in.Error.Free()
			in.Error = copyOf(local.Signal{Error: want.signals[k-1].Error}).Error
		}
		return in
	})
	if err != nil {
		return true, err
	}
	defer t.free()
	for _, m := range r.Modules() {
		if m.Index == j {
			continue
		}
		if err := want.same(m, fmt.Sprintf("another loss of module %d", j)); err != nil {
			return true, err
		}
	}
	if s.method.Claims.Backward == method.Inside && want.after[j-1].differs(t.after[j-1], bodyOf(changed)) == "" {
		return true, fmt.Errorf("another loss of module %d does not change its body", j)
	}
	return true, nil
}

// locking: which updates wait for modules behind. Never: module k learns from its signal alone, whatever became of the
// others. Inside, partly: from its signal, of which the network's error is a part. Whole: there is one module.
func locking(s *Subject) (note string, err error) {
	base, err := s.trial(torch.Float32)
	if err != nil {
		return "", err
	}
	defer base.free()
	claim, needs := s.method.Claims.Locking, base.Rule.Needs
	switch n := len(base.Modules()); {
	case claim == method.Whole && n != 1:
		return "", fmt.Errorf("it claims that updates wait for the whole network, and has %d modules", n)
	case claim == method.Whole:
		return "one module: it waits for the whole network", nil
	case claim == method.Never && needs.Error:
		return "", errors.New("it claims that updates wait for nothing, and needs the network's error")
	}
	want, err := base.drive(nil)
	if err != nil {
		return "", err
	}
	defer want.free()
	for i := range base.Modules() {
		if err := s.alone(i, want); err != nil {
			return "", err
		}
	}
	if !needs.Error {
		return "every module learns from its signal alone", nil
	}
	return "modules wait for the network's error", s.waits(want)
}

// alone trains the i-th module on its signal, in a network whose other modules are not what they were.
func (s *Subject) alone(i int, want trace) error {
	r, err := s.trial(torch.Float32)
	if err != nil {
		return err
	}
	defer r.free()
	for k, m := range r.Modules() {
		if k != i {
			shake(m.Params, "methodtest/others")
		}
	}
	m := r.Modules()[i]
	out, _, err := r.Rule.Train(m, copyOf(want.signals[i]), r.DType, local.Tick{LR: 0.1})
	if err != nil {
		return err
	}
	out.Free()
	return want.same(m, "a change of other modules, signals as before,")
}

// waits returns an error if no module cares for the network's error.
func (s *Subject) waits(want trace) error {
	r, err := s.trial(torch.Float32)
	if err != nil {
		return err
	}
	defer r.free()
	for i, m := range r.Modules() {
		in := copyOf(want.signals[i])
		torch.ForeachScale([]torch.Tensor{in.Error}, 2)
		out, _, err := r.Rule.Train(m, in, r.DType, local.Tick{LR: 0.1})
		if err != nil {
			return err
		}
		out.Free()
		if want.same(m, "") != nil {
			return nil
		}
	}
	return errors.New("it claims to wait for the network's error, and no update depends on it")
}

// graph: a method that claims to do without back-propagation records no autograd graph; others do.
func graph(s *Subject) (note string, err error) {
	r, err := s.trial(torch.Float32)
	if err != nil {
		return "", err
	}
	defer r.free()
	before := torch.Recorded()
	if err := r.step(1, 0); err != nil {
		return "", err
	}
	n := torch.Recorded() - before
	switch never := s.method.Claims.Backward == method.Never; {
	case never && n > 0:
		return "", fmt.Errorf("it claims to be free of back-propagation, and autograd recorded %d results", n)
	case !never && n == 0:
		return "", errors.New("it claims to back-propagate, and autograd recorded nothing")
	}
	return fmt.Sprintf("%d results recorded", n), nil
}
