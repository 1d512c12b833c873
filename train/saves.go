package train

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/runfolder"
)

// saves is when a run is saved, and what became of it.
type saves struct {
	asked    <-chan struct{} // from outside
	patience time.Duration   // for the last one
	last     time.Time       // or when it was last tried
	failed   bool            // the last one
	step     int             // of the checkpoint that the run folder has as the last one
	checked  time.Time       // when the run folder was last found to be this process's
	silent   bool            // the log has lines that are not written yet, and the user knows
}

const (
	retryInterval = 30 * time.Second // between tries of a checkpoint that could not be written while training goes on
	checkInterval = 5 * time.Second  // between questions whether the run folder is this process's still
)

// owned returns an error if another process has taken the run folder over. It asks now and then; where modules wait in the
// folder, before each step.
func (r *Run) owned() error {
	if !r.Streams() && time.Since(r.saves.checked) < checkInterval {
		return nil
	}
	r.saves.checked = time.Now()
	return r.folder.Check()
}

// passes reports whether a checkpoint that could not be written may be written later.
func passes(err error) bool {
	_, lost := errors.AsType[*runfolder.Lost](err)
	return fault.Is(err) && !lost
}

// due reports whether a checkpoint is to be written between two steps, and whether somebody asked for it.
func (s *saves) due() (due, asked bool) {
	select {
	case <-s.asked:
		return true, true
	default:
	}
	interval := checkpointInterval
	if s.failed {
		interval = retryInterval
	}
	return time.Since(s.last) > interval, false
}

// save writes a checkpoint in the course of training. That it cannot be written, because the disk is full, is no reason to
// end: the run goes on, says so, and tries again.
func (r *Run) save() error {
	err := r.write()
	if err != nil && !passes(err) {
		return err
	}
	r.saves.last = time.Now()
	switch {
	case err != nil:
		r.notice(fmt.Sprintf("no checkpoint at step %d: %v; training goes on, and it is tried again", r.at.Step, err))
	case r.saves.failed:
		r.notice(fmt.Sprintf("checkpoint written at step %d", r.at.Step))
	}
	r.saves.failed = err != nil
	return nil
}

// saveIfDue writes a checkpoint between two steps when it is time, or when somebody has asked for one.
func (r *Run) saveIfDue() error {
	if err := r.owned(); err != nil {
		return err
	}
	due, asked := r.saves.due()
	if !due {
		return nil
	}
	if err := r.drain(); err != nil {
		return err
	}
	err := r.save()
	if asked && err == nil && !r.saves.failed {
		r.notice(fmt.Sprintf("checkpoint written at step %d, as asked; training goes on", r.at.Step))
	}
	return err
}

// saveLast writes the checkpoint that a run ends with. Where it cannot be written it is tried again for a while, since
// somebody may make room; ctx cuts that short.
func (r *Run) saveLast(ctx context.Context) error {
	err := r.write()
	for wait, began := 100*time.Millisecond, time.Now(); passes(err) && time.Since(began)+wait < r.saves.patience; wait *= 2 {
		r.notice(fmt.Sprintf("no checkpoint at step %d: %v; trying again", r.at.Step, err))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
		err = r.write()
	}
	return err
}

// logged takes the outcome of handing an event to the sinks. What could not be written is kept there and written later, so
// training goes on; the user hears of it once, and when it is mended.
func (r *Run) logged(err error) {
	switch {
	case err != nil && !r.saves.silent:
		r.notice(fmt.Sprintf("%v; training goes on, and what is missing is written once that is possible", err))
	case err == nil && r.saves.silent:
		r.notice("the record of the run is complete again")
	}
	r.saves.silent = err != nil
}
