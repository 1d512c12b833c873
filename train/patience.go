package train

import (
	"context"
	"fmt"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
)

// EvalOptions is the `eval` section of a recipe: when a run is evaluated, and when that ends it.
type EvalOptions struct {
	Every    int `recipe:"every" default:"1" min:"1" max:"1000000" doc:"epochs from one evaluation to the next; a run always ends with one"`
	Steps    int `recipe:"steps" default:"0" min:"0" max:"1000000000" doc:"steps from one evaluation to the next, in place of epochs; 0 = eval.every says"`
	Patience int `recipe:"patience" default:"0" min:"0" max:"1000000" doc:"end the run after so many evaluations without a better accuracy on the validation images; 0 = never"`
}

// patient returns a fault if the run is to end early and cannot tell when.
func (r *Run) patient() error {
	n := r.model.Config.Eval.Patience
	switch {
	case n == 0:
		return nil
	case r.set.Part(data.Validation).Len() == 0:
		return fault.New("eval.patience is %d: must be 0 without validation images; data.validation=0.1 holds a tenth of the training images out", n)
	case r.cycles() > 1:
		return fault.New("eval.patience is %d: must be 0 with method.name %s, which trains its modules in turn: those to come would be left untrained",
			n, r.model.Config.Method.Name)
	}
	return nil
}

// due reports whether the run is to be evaluated where it stands, at the end of an epoch or of the run.
func (r *Run) due() bool {
	o := r.model.Config.Eval
	return r.at.Step >= r.at.Total || o.Steps == 0 && (r.at.Epoch+1)%o.Every == 0
}

// evaluateBetween evaluates in front of a step, if eval.steps says so.
func (r *Run) evaluateBetween(ctx context.Context, step int) error {
	n := r.model.Config.Eval.Steps
	if n == 0 || step%n != 0 || step <= r.at.Evaluated {
		return nil
	}
	if err := r.drain(); err != nil {
		return err
	}
	if err := r.assess(ctx); err != nil {
		return err
	}
	r.model.Device().ResetPeak() // what an evaluation takes is not what training takes
	return nil
}

// wait takes the outcome of an evaluation: better than all before it, or not. It ends the run where it has waited enough.
func (r *Run) wait(better bool) {
	r.at.Stale++
	if better {
		r.at.Stale = 0
	}
	n := r.model.Config.Eval.Patience
	if n == 0 || r.at.Stale < n || r.at.Step >= r.at.Total {
		return
	}
	r.at.Total, r.at.Stale = r.at.Step, 0
	evaluations := "evaluations"
	if n == 1 {
		evaluations = "evaluation"
	}
	r.notice(fmt.Sprintf("accuracy on the validation images is no better for %d %s: the run ends at step %d; %s has the best weights",
		n, evaluations, r.at.Step, r.folder.Path(bestFile)))
}
