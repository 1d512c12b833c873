package methodtest

import (
	"fmt"
	"math"
	"slices"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// How far a device may be from the CPU after the steps of the check "device", relative to the norm.
//
// In float64 both compose the same operations. What the order of sums leaves is as small as float64 is fine, and every
// tensor is looked at. In float32 the CPU has kernels that round once where a device rounds after each operation, and what
// is rounded grows: SGR divides differences by its small step, and statistics of a few samples divide by little. So there
// it is the whole update that counts, and a device may be off by a few times as much as rounding puts it off on the CPU.
const (
	fine   = 1e-6 // of any tensor, in float64
	coarse = 5e-2 // of the update, in float32, or
	factor = 4    // times what rounding does on the CPU: see fromRounding
	rough  = 0.3  // of the update, in bfloat16, which has 8 bits
)

// The check "device" takes a few steps, and small ones: longer ones multiply what was rounded in those before.
const (
	deviceSteps = 3
	deviceRate  = 0.01
)

// On returns the subject with a device that the checks "device" and "recorded" try.
func (s Subject) On(d torch.Device) Subject {
	s.device = d
	return s
}

// device: a network that trains on the subject's device ends at the CPU's weights, and its heads answer alike.
func device(s *Subject) (note string, err error) {
	if s.device == torch.CPU {
		return "no other device is asked for", nil
	}
	exact, err := s.train(torch.CPU, torch.Float64, 0)
	if err != nil {
		return "", err
	}
	limit, dtype := rough, s.spec.DType
	if dtype == torch.Float32 {
		if note, err = s.sameTensors(exact); err != nil {
			return "", err
		}
	}
	here, err := s.train(torch.CPU, dtype, 0)
	if err != nil {
		return "", err
	}
	there, err := s.train(s.device, dtype, 0)
	if err != nil {
		return "", err
	}
	d := distance(there.moved, here.moved)
	if dtype == torch.Float32 {
		if limit = max(coarse, factor*distance(here.moved, exact.moved)); d > limit {
			off, err := s.fromRounding(here)
			if err != nil {
				return "", err
			}
			limit = max(limit, factor*off)
		}
	}
	if !(d <= limit) {
		return "", fmt.Errorf("in %v the update on %v is off by %.1e of its norm, more than %.1e", dtype, s.device, d, limit)
	}
	for k, loss := range there.losses {
		if want := here.losses[k]; !(math.Abs(loss-want) <= limit*max(1, math.Abs(want))) {
			return "", fmt.Errorf("in %v the loss of module %d on %v is %v, on the CPU %v", dtype, k+1, s.device, loss, want)
		}
	}
	return fmt.Sprintf("%sin %v the update is off by %.1e, of %.1e", note, dtype, d, limit), nil
}

// sameTensors compares every parameter and buffer in float64 with those on the CPU.
func (s *Subject) sameTensors(exact trained) (note string, err error) {
	there, err := s.train(s.device, torch.Float64, 0)
	if err != nil {
		return "", err
	}
	worst := 0.0
	for name, v := range exact.end {
		d := distance(there.end[name], v)
		if slices.Equal(there.end[name], v) {
			d = 0 // whose norm may be, too
		}
		if !(d <= fine) {
			return "", fmt.Errorf("in float64 %s on %v is off by %.1e of its norm, more than %g", name, s.device, d, fine)
		}
		worst = max(worst, d)
	}
	return fmt.Sprintf("in float64 tensors are off by %.1e at most, ", worst), nil
}

// fromRounding returns how far the update on the CPU moves, relative to its norm, when the inputs move by rounding errors of
// float32: the most of a few draws. Far, where a unit next to zero is one of the few that a statistic is made of.
func (s *Subject) fromRounding(here trained) (most float64, err error) {
	for draw := range uint64(4) {
		near, err := s.train(torch.CPU, torch.Float32, 1+draw)
		if err != nil {
			return 0, err
		}
		most = max(most, distance(near.moved, here.moved))
	}
	return most, nil
}

// nudged returns x after so much noise as float32 rounds off, drawn from a seed. It consumes x.
func nudged(x torch.Tensor, seed uint64) torch.Tensor {
	s := x.Device().Scope(torch.NoGrad)
	defer s.Close()
	noise := s.Full(x.DType(), 0, x.Shape()...)
	noise.Uniform(-1, 1, seed)
	near := s.Add(x, noise, 0x1p-22).Keep() // inputs go up to 2
	x.Free()
	return near
}

// trained is what a network is after some steps.
type trained struct {
	end    state
	moved  []float64 // the update of the trainable parameters, as one vector
	losses []float64 // of the heads, in evaluation
}

// train takes the steps on a device. With a draw other than 0, rounding errors are drawn and added to the inputs.
func (s *Subject) train(d torch.Device, dtype torch.DType, draw uint64) (t trained, err error) {
	r, err := s.trialOn(d, dtype)
	if err != nil {
		return t, err
	}
	defer r.free()
	before := stateOf(r.model.Params())
	for step := range uint64(deviceSteps) {
		x, y := r.batch(step + 1)
		if draw > 0 {
			x = nudged(x, draw<<32|step)
		}
		if _, err := r.model.Learner.Step(x, y, local.Tick{Step: int(step), Done: float64(step) / deviceSteps, LR: deviceRate}); err != nil {
			return t, fmt.Errorf("on %v: %w", d, err)
		}
	}
	if _, err := r.model.Learner.Drain(); err != nil {
		return t, fmt.Errorf("on %v: %w", d, err)
	}
	r.soft = r.Rule.MultiLabel // other answers are counted against classes
	scores, err := r.model.Learner.Evaluate(r.batch(deviceSteps + 1))
	if err != nil {
		return t, fmt.Errorf("evaluation on %v: %w", d, err)
	}
	for _, s := range scores {
		t.losses = append(t.losses, s.Loss)
	}
	params := r.model.Params()
	t.end, t.moved = stateOf(params), update(params, before)
	return t, elsewhere(params, d)
}

// elsewhere returns an error for a parameter that is not on the device.
func elsewhere(params []*nn.Param, d torch.Device) error {
	for _, p := range params {
		if at := p.Value.Device(); at != d {
			return fmt.Errorf("%s is on %v, not on %v", p.Name, at, d)
		}
	}
	return nil
}
