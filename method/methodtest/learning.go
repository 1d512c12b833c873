package methodtest

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// gradients: of no trainable parameter is the gradient all zero, in no module.
func gradients(s *Subject) (note string, err error) {
	r, err := s.trial(torch.Float32)
	if err != nil {
		return "", err
	}
	defer r.free()
	t, err := r.drive(nil)
	if err != nil {
		return "", err
	}
	defer t.free()
	n := 0
	for i, m := range r.Modules() {
		g, _ := r.evaluate(m, t.signals[i])
		for j, p := range trainable(m) {
			if !slices.ContainsFunc(g[j], func(v float64) bool { return v != 0 }) {
				return "", fmt.Errorf("the gradient of %s in module %d is zero", p.Name, m.Index)
			}
			n++
		}
	}
	return fmt.Sprintf("%d parameters have one that is not zero", n), nil
}

// schedule: wherever it stands, a module that trains is moved, and nothing of the others changes. Every module trains some
// time, and in each of the schedule's cycles some module does.
func schedule(s *Subject) (note string, err error) {
	r, err := s.trial(torch.Float32)
	if err != nil {
		return "", err
	}
	defer r.free()
	stretches, err := r.stretches()
	if err != nil {
		return "", err
	}
	trained := make([]int, len(r.Modules()))
	for i, at := range stretches {
		before := stateOf(r.model.Params())
		if err := r.step(uint64(i)+1, at.done); err != nil {
			return "", err
		}
		for k, m := range r.Modules() {
			trains := at.phases[k] == local.Trains
			name := before.differs(stateOf(m.Params), m.Params)
			switch {
			case trains && name == "":
				return "", fmt.Errorf("module %d trains and does not change", m.Index)
			case !trains && name != "":
				return "", fmt.Errorf("module %d does not train, and its %s changes", m.Index, name)
			case trains:
				trained[k]++
			}
		}
	}
	if i := slices.Index(trained, 0); i >= 0 {
		return "", fmt.Errorf("module %d never trains", i+1)
	}
	return fmt.Sprintf("modules train in %v of %d stretches", trained, len(stretches)), nil
}

// stretch is a part of the training in which every module keeps its phase.
type stretch struct {
	phases []local.Phase
	done   float64 // where it begins
}

// stretches returns the parts of a training that differ in who trains. It walks through all of the training, so that it
// meets what begins late or ends early, too.
func (r *trial) stretches() (all []stretch, err error) {
	const instants = 1000 // in a cycle
	K := len(r.Modules())
	cycles := r.Schedule.Cycles(K)
	for i := range instants * cycles {
		at := stretch{done: float64(i) / float64(instants*cycles)}
		for k := range K {
			at.phases = append(at.phases, r.Schedule.Phase(k+1, K, at.done))
		}
		if n := len(all); n == 0 || !slices.Equal(at.phases, all[n-1].phases) {
			all = append(all, at)
		}
	}
	for c := range cycles {
		if !busy(all, float64(c)/float64(cycles), float64(c+1)/float64(cycles)) {
			return nil, fmt.Errorf("no module trains in cycle %d of %d", c+1, cycles)
		}
	}
	return all, nil
}

// busy reports whether some module trains between two times.
func busy(all []stretch, from, to float64) bool {
	for i, at := range all {
		end := 1.0
		if i+1 < len(all) {
			end = all[i+1].done
		}
		if at.done < to && end > from && slices.Contains(at.phases, local.Trains) {
			return true
		}
	}
	return false
}

// determinism: two networks that begin alike end alike, bit for bit.
func determinism(s *Subject) (note string, err error) {
	var ends []state
	for range 2 {
		r, err := s.trial(torch.Float32)
		if err != nil {
			return "", err
		}
		defer r.free()
		for step := range uint64(3) {
			if err := r.step(step+1, float64(step)/3); err != nil {
				return "", err
			}
		}
		ends = append(ends, stateOf(r.model.Params()))
	}
	for name, v := range ends[0] {
		if !slices.Equal(v, ends[1][name]) {
			return "", fmt.Errorf("%s differs between two runs of one seed", name)
		}
	}
	return fmt.Sprintf("%d tensors the same after 3 steps, twice", len(ends[0])), nil
}

// tensors: a step and an evaluation leave no tensor and no byte behind.
func tensors(s *Subject) (note string, err error) {
	r, err := s.trial(torch.Float32)
	if err != nil {
		return "", err
	}
	defer r.free()
	for step := range uint64(2) {
		n, bytes := torch.LiveTensors(), torch.LiveBytes()
		if err := r.step(step+1, float64(step)/2); err != nil {
			return "", err
		}
		if _, err := r.Evaluate(r.batch(3)); err != nil {
			return "", err
		}
		if n, bytes = torch.LiveTensors()-n, torch.LiveBytes()-bytes; n != 0 || bytes != 0 {
			return "", fmt.Errorf("step %d leaves %d tensors and %d bytes behind", step+1, n, bytes)
		}
	}
	return "nothing is left after a step", nil
}

// Central differences in float64, and how far gradients may be off. A step that crosses no ReLU is what makes them agree.
const (
	differenceStep = 1e-6
	differenceOff  = 1e-4
)

// descent: a method that claims to descend moves along the gradient of its modules' objectives and terms, L_k + λS, held
// against central differences of that sum. Directional gradients of the term are themselves differences, hence the
// tolerance.
func descent(s *Subject) (note string, err error) {
	if !s.method.Claims.Descends {
		return "it does not claim to descend", nil
	}
	r, err := s.trial(torch.Float64)
	if err != nil {
		return "", err
	}
	defer r.free()
	t, err := r.drive(nil)
	if err != nil {
		return "", err
	}
	defer t.free()
	worst, n := 0.0, 0
	for i, m := range r.Modules() {
		g, _ := r.evaluate(m, t.signals[i])
		for _, at := range probes(g) {
			want, err := r.difference(m, t.signals[i], at)
			if err != nil {
				return "", err
			}
			off := math.Abs(g[at.tensor][at.element]-want) / math.Abs(want)
			if worst, n = max(worst, off), n+1; !(off <= differenceOff) {
				return "", fmt.Errorf("module %d: ∂(L + λS) by element %d of %s is %g, differences say %g",
					m.Index, at.element, trainable(m)[at.tensor].Name, g[at.tensor][at.element], want)
			}
		}
	}
	return fmt.Sprintf("%d derivatives within %.1e of differences", n, worst), nil
}

// probe is an element of one of a module's trainable tensors.
type probe struct{ tensor, element int }

// probes picks the elements with the largest derivative in some tensors, the first and the last among them.
func probes(gradients [][]float64) (all []probe) {
	for _, i := range []int{0, len(gradients) / 3, 2 * len(gradients) / 3, len(gradients) - 2} {
		if i < 0 {
			continue
		}
		at := probe{tensor: i}
		for e, v := range gradients[i] {
			if math.Abs(v) > math.Abs(gradients[i][at.element]) {
				at.element = e
			}
		}
		all = append(all, at)
	}
	return all
}

func trainable(m *local.Module) (all []*nn.Param) {
	for _, p := range m.Params {
		if p.Trainable {
			all = append(all, p)
		}
	}
	return all
}

// evaluate returns the gradients of a module's objective and term on a signal, which stays the caller's, and their value.
func (r *trial) evaluate(m *local.Module, in local.Signal) (gradients [][]float64, value float64) {
	s := in.X.Device().Scope(torch.Grad)
	defer s.Close()
	in = copyOf(in)
	defer in.Free()
	w := &local.Work{Rule: &r.Rule, Module: m, Scope: s, DType: r.DType, In: in}
	g, agreement := r.Rule.Term.Gradients(w)
	for _, t := range g.Theta {
		gradients = append(gradients, t.Float64s())
	}
	value = g.Loss.Wait()
	if sgr := agreement.SGR.Wait(); !math.IsNaN(sgr) {
		value += r.model.Spec.Method.Lambda * sgr
	}
	return gradients, value
}

// difference is the central difference of L + λS along one element.
func (r *trial) difference(m *local.Module, in local.Signal, at probe) (float64, error) {
	value := m.Theta()[at.tensor]
	old := value.Float64s()
	var sides [2]float64
	for i, step := range []float64{differenceStep, -differenceStep} {
		moved := slices.Clone(old)
		moved[at.element] += step
		value.Copy(r.scope.FromDoubles(moved, value.Shape()...))
		_, sides[i] = r.evaluate(m, in)
	}
	value.Copy(r.scope.FromDoubles(old, value.Shape()...))
	if math.IsNaN(sides[0] - sides[1]) {
		return 0, errors.New("the loss is not a number")
	}
	return (sides[0] - sides[1]) / (2 * differenceStep), nil
}
