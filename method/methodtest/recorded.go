package methodtest

import (
	"fmt"
	"slices"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/torch"
)

// recordedSteps are enough for some to be launched from a recording.
const recordedSteps = 6

// recorded: a network whose steps the subject's device records ends with the bits of one whose steps it does not.
func recorded(s *Subject) (note string, err error) {
	if s.device == torch.CPU {
		return "no other device is asked for", nil
	}
	plain, note, err := s.trainRecorded(false)
	if err != nil || plain == nil {
		return note, err
	}
	as, note, err := s.trainRecorded(true)
	if err != nil {
		return "", err
	}
	for name, v := range plain {
		if !slices.Equal(as[name], v) {
			return "", fmt.Errorf("recorded steps on %v leave other bits in %s: off by %.1e of its norm", s.device, name, distance(as[name], v))
		}
	}
	return note, nil
}

// trainRecorded takes steps on the subject's device. No state comes from a subject that is not trained in lock-step.
func (s *Subject) trainRecorded(record bool) (end state, note string, err error) {
	r, err := s.trialOn(s.device, s.spec.DType)
	if err != nil {
		return nil, "", err
	}
	defer r.free()
	if r.model.Learner != local.Learner(r.Chain) {
		return nil, "not trained in lock-step", nil
	}
	learner := local.NewRecorded(r.Chain)
	defer learner.Close()
	step := r.Chain.Step
	if record {
		step = learner.Step
	}
	for i := range uint64(recordedSteps) {
		x, y := r.batch(i + 1)
		if _, err := step(x, y, local.Tick{Step: int(i), Done: float64(i) / recordedSteps, LR: deviceRate / float64(1+i)}); err != nil {
			return nil, "", fmt.Errorf("recorded %v on %v: %w", record, s.device, err)
		}
	}
	if _, err := learner.Drain(); err != nil {
		return nil, "", fmt.Errorf("recorded %v on %v: %w", record, s.device, err)
	}
	switch why := learner.Refused(); {
	case why != nil:
		note = "not recorded: " + why.Error()
	case record:
		note = fmt.Sprintf("%d of %d steps launched as recorded", learner.Launched(), recordedSteps)
	}
	return stateOf(r.model.Params()), note, nil
}
