package study

import (
	"cmp"
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/runfolder"
	"github.com/locus-learn/locus/train"
)

// Runner trains the cells of a study that are not done.
type Runner struct {
	Study   *Study
	Out     string          // the study's folder
	Data    string          // folder to look for data in first
	Program []string        // the command in front of "train", such as this program
	Jobs    int             // runs at a time
	Devices []string        // shared out among them; none: the recipes'
	Share   []Cell          // the cells to train; nil: all
	Retry   bool            // cells that have failed are trained again
	Report  bool            // nothing is trained: the report is of what is done
	Watch   Watcher         // may be nil
	Save    <-chan struct{} // asks the runs under way for a checkpoint; may be nil

	folder    *runfolder.Folder // while it runs
	mu        sync.Mutex
	spent     float64 // seconds of training that outcomes tell of
	outcomes  map[string]*Outcome
	running   map[string]bool
	processes map[*os.Process]time.Time
}

// errBudget ends the handing out of cells when the budget of hours is used up.
var errBudget = errors.New("the budget is used up")

// Run trains what is left of the study, or of the runner's share, and writes the report. A cell that fails is recorded and does not stop the
// others. When ctx ends, the runs under way are saved, and the error is train.ErrInterrupted. Only what concerns all cells
// stops the study: a full disk, a folder that another process has or that was changed by hand, a recipe that cannot be
// trained at all.
func (r *Runner) Run(ctx context.Context) (rep *Report, err error) {
	folder, err := openFolder(r.Out)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closing := folder.Close(); err == nil {
			err = closing
		}
	}()
	unfinished, err := r.unfinished()
	if err != nil {
		return nil, err
	}
	if err := r.rehearse(unfinished); err != nil {
		return nil, err
	}
	if err := write(folder, studyFile, r.Study.Doc); err != nil {
		return nil, err
	}
	r.folder = folder
	running := r.work(ctx, unfinished)
	rep, err = Summarise(r.Study, r.Out)
	if err == nil {
		err = cmp.Or(r.Study.figures(folder, rep), rep.write(folder))
	}
	if running != nil { // the reason, whatever the report then met
		err = running
	}
	return rep, err
}

// unfinished lists the cells that are not done. It reads all outcomes, so that a folder changed by hand is refused before hours of
// training.
func (r *Runner) unfinished() ([]Cell, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spent, r.outcomes, r.running = 0, map[string]*Outcome{}, map[string]bool{}
	var left []Cell
	for _, c := range r.Study.Cells() {
		o, err := r.outcome(c)
		if err != nil {
			return nil, err
		}
		if o != nil && (o.Failed == "" || !r.Retry) {
			r.outcomes[c.Name()] = o
			r.spent += o.Summary.Seconds
			continue
		}
		if !r.Report && (r.Share == nil || slices.Contains(r.Share, c)) {
			left = append(left, c)
		}
	}
	return left, nil
}

// outcome reads what became of a cell. A run that came to its end without this package, such as by train in the cell's
// folder, is taken over.
func (r *Runner) outcome(c Cell) (*Outcome, error) {
	o, err := c.Outcome(r.Out)
	if o != nil || err != nil {
		return o, err
	}
	if begun, err := c.begun(r.Out); !begun || err != nil {
		return nil, err
	}
	if o, err = c.finished(r.Out); err != nil || o.Summary.Stopped != "" {
		return nil, nil // it is to go on
	}
	if err := r.whole(c, o); err != nil {
		return nil, err
	}
	return o, o.store(c, r.Out)
}

// whole adds a run's arithmetic to its outcome. It is a fault if the run is not as long as its recipe has it.
func (r *Runner) whole(c Cell, o *Outcome) error {
	found, err := c.Arm.survey(r.Data)
	if err != nil {
		return err
	}
	if o.Failed == "" && o.Summary.Steps != found.Steps {
		return fault.New("%s has a run of %d steps, and the arm's are %d long: remove it, or move it away", c.Dir(r.Out), o.Summary.Steps, found.Steps)
	}
	o.PFLOP = found.PFLOP(c.Arm.Config.Data.Batch, o.Summary.Steps)
	return nil
}

// rehearse opens the data of every arm that is to be trained and builds its model, so that a mistake in the last one does not
// wait for the training of all others, and compares the data with those of runs that are done. Later, outcomes take the arithmetic of a step from there.
func (r *Runner) rehearse(unfinished []Cell) error {
	data := samples{}
	for _, c := range r.Study.Cells() {
		if o := r.outcomes[c.Name()]; o != nil {
			if err := data.add(c.Arm, c.Name(), c.Seed, o.Summary.Data); err != nil {
				return err
			}
		}
	}
	seen := map[*Arm]bool{}
	for _, c := range unfinished {
		if seen[c.Arm] {
			continue
		}
		seen[c.Arm] = true
		found, err := r.look(c.Arm)
		if err == nil {
			err = data.add(c.Arm, c.Name(), c.Arm.Config.Seed, found.Data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// look surveys an arm whose runs are to be trained. It is a fault if they will not have what the study compares.
func (r *Runner) look(a *Arm) (train.Survey, error) {
	found, err := a.survey(r.Data)
	if err == nil {
		err = r.Study.Metric.found(a, found)
	}
	return found, err
}

// work trains cells, as many at a time as there are slots. It returns what stopped it, nil if all are done.
func (r *Runner) work(ctx context.Context, unfinished []Cell) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go r.passOn(ctx)
	queue := make(chan Cell)
	go func() {
		defer close(queue)
		for _, c := range unfinished {
			if r.exhausted() {
				cancel(errBudget)
			}
			select {
			case queue <- c:
			case <-ctx.Done():
				return
			}
		}
	}()
	var all sync.WaitGroup
	for _, s := range slots(max(1, r.Jobs), runtime.GOMAXPROCS(0), r.Devices) {
		all.Go(func() {
			for c := range queue {
				if err := r.cell(ctx, c, s); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	all.Wait()
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, context.Canceled):
		return train.ErrInterrupted
	case errors.Is(cause, errBudget):
		return nil
	default:
		return cause
	}
}

// exhausted reports whether the budget of hours is used up.
func (r *Runner) exhausted() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Study.Budget > 0 && r.spent >= r.Study.Budget*3600
}

// cell trains a cell and records its outcome. An error concerns the whole study.
func (r *Runner) cell(ctx context.Context, c Cell, s slot) error {
	resumed, err := c.begun(r.Out)
	if err != nil {
		return err
	}
	r.begin(c, resumed)
	err = r.train(ctx, c, s, resumed)
	if lost := r.owned(); lost != nil {
		return lost
	}
	var o *Outcome
	var ended *exit
	switch {
	case err == nil:
		if o, err = c.finished(r.Out); err != nil {
			return fault.New("%s ended without a result: %w", c.Dir(r.Out), err)
		}
	case errors.As(err, &ended) && ended.full():
		return fault.New("%s: %w; make room, and the same command goes on from here", c.Name(), err)
	case errors.As(err, &ended) && runfolder.User(c.Dir(r.Out)) != nil:
		return fault.New("%s: %w; when that one is done, the same command goes on from here", c.Name(), err)
	case errors.As(err, &ended):
		o = &Outcome{Arm: c.Arm.Name, Seed: c.Seed, Failed: ended.said}
		_ = o.read(c.Dir(r.Out)) // whatever it left behind
	default:
		return err
	}
	if err := r.whole(c, o); err != nil {
		return err
	}
	if err := o.store(c, r.Out); err != nil {
		return err
	}
	r.end(c, o)
	return nil
}

// owned returns an error if another process has taken the study's folder over.
func (r *Runner) owned() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.folder.Check()
}

func (r *Runner) begin(c Cell, resumed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running[c.Name()] = true
	if r.Watch != nil {
		r.Watch.Begin(c, resumed)
	}
}

func (r *Runner) end(c Cell, o *Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.running, c.Name())
	r.outcomes[c.Name()] = o
	r.spent += o.Summary.Seconds
	if r.Watch != nil {
		r.Watch.End(c, o)
	}
}
