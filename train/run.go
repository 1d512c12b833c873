package train

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/runfolder"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/mesh"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/recipe"
	"github.com/locus-learn/locus/record"
)

// Options are what a command line says about a run beyond its recipe.
type Options struct {
	Data   string       // folder to look for data in first
	Out    string       // run folder
	Resume bool         // go on with the run in Out
	Force  bool         // replace the run in Out
	Memory int64        // what the process may take: cuts and all that decides about memory are chosen for it; 0: the recipe's
	Init   string       // safetensors file to start from
	Budget bool         // the recipe's epochs are those of the whole run, also of a method that trains its modules in turn
	Steps  int          // length of the run; negative: the recipe's epochs
	Sink   record.Sink  // gets every step, where the run folder gets every tenth; may be nil; the run closes it
	Notice func(string) // gets warnings, a line each; may be nil

	Adopted func(model.Adoption) // gets what became of the weights of Init; nil: Notice gets what is not theirs

	Save     <-chan struct{} // asks for a checkpoint between two steps, after which training goes on; may be nil
	Stall    time.Duration   // after how long a step says what it waits for; 0: a minute. Notice may then be called from another goroutine
	World    *mesh.World     // the processes that train together, of which this is rank 0; nil for one. [Follow] is for the others
	Patience time.Duration   // how long the last checkpoint is tried again where it cannot be written, as on a full disk
}

// ErrInterrupted reports a run that was stopped from outside after it had saved its checkpoint.
var ErrInterrupted = errors.New("interrupted; the run is saved and goes on with --resume")

// Intervals of the loop.
const (
	stepsPerEvent      = 10              // in the run folder
	checkpointInterval = 5 * time.Minute // between epochs; every epoch is saved as well
)

// Run is one training of one model.
type Run struct {
	folder *runfolder.Folder
	set    data.Source
	info   data.Info // the set's
	model  *Model
	log    *record.JSONL
	board  *record.TensorBoard
	sink   record.Sink // everybody
	live   record.Sink // who wants every step
	at     progress
	saves  saves
	fresh  []int // modules whose heads the weights lacked: see startHeads
	spill  spill // where modules wait that are not in memory
	notice func(string)
	broken atomic.Bool   // samples that could not be read, in this process
	watch  *watchdog     // while it trains
	stall  time.Duration // its limit
	told   bool          // that steps are not recorded
	closed bool

	perEpoch  int
	evaluated bool       // at least once, by this process
	times     []float64  // seconds of each step of this process
	spent     float64    // seconds of training since the last of these
	probed    []Accuracy // of a linear probe behind each module, once trained; nil where heads answer
	peak      int64      // of live tensor bytes while training

	mesh *mesh.Leader // of other processes; nil where there are none
}

// Streams reports whether modules come and go while the run trains (method.resident), so that little memory is taken.
func (r *Run) Streams() bool { return r.model.Config.Method.Resident > 0 }

// FromRecipe opens the data and builds the model that a recipe names, and prepares the run as [New] does. Keys that are zero and
// must not be have their defaults. The caller closes the run.
func FromRecipe(c Config, o Options) (*Run, error) {
	if o.Notice == nil {
		o.Notice = func(string) {}
	}
	if err := c.complete(); err != nil {
		return nil, err
	}
	inFlight := c.Method.Pipeline
	if o.World != nil {
		if err := c.together(o.World.Shape); err != nil {
			return nil, err
		}
		c.Method.Pipeline = 0 // processes take the place of its workers
	}
	folder, err := openFolder(o) // before anything is read, and a network built for nothing
	if err != nil {
		return nil, err
	}
	source, err := data.Open(c.Data, c.Seed, dirs(o.Data))
	if err != nil {
		folder.Close()
		return nil, err
	}
	if o.Memory > 0 {
		if c, err = c.within(inputOf(source.Info()), o.Memory, o.Notice); err != nil {
			folder.Close()
			return nil, err
		}
	}
	m, err := modelOf(c, inputOf(source.Info()), o, folder)
	if err != nil {
		folder.Close()
		return nil, err
	}
	m.Config.Method.Pipeline = inFlight
	return newRun(m, source, o, folder)
}

// complete puts defaults where a program has left a recipe empty, and checks the rest.
func (c *Config) complete() error {
	if err := recipe.Complete(c); err != nil {
		return err
	}
	if err := c.settle(recipe.Origins{}); err != nil {
		return err
	}
	c.Name = cmp.Or(c.Name, c.Method.Name)
	return recipe.Validate(c)
}

// modelOf builds the model of a recipe: with the weights of the run that goes on, or drawn ones.
func modelOf(c Config, in model.Input, o Options, folder *runfolder.Folder) (*Model, error) {
	if !o.Resume || !folder.Has(lastFile) {
		return NewModel(c, in, false)
	}
	if _, auto := c.Method.Auto(); auto { // the run has what was found
		was, err := LoadRun(o.Out, nil)
		if err != nil {
			return nil, err
		}
		c.Method.Cuts = was.Method.Cuts
	}
	if _, err := changes(o.Out, &c); err != nil { // in the recipe's words, before tensors are found not to fit
		return nil, err
	}
	w, err := model.OpenWeights(folder.Path(lastFile))
	if err != nil {
		return nil, err
	}
	defer w.Close()
	return loadModel(c, in, false, w)
}

// New prepares a run of a model on a data set, which may both be of one's own: it makes the run folder, or restores the run
// that is in it. The run takes the model over, whatever New returns. The caller closes the run.
//
// Of c counts what says how to train: the batch and its order, schedule and rate, probes and diagnosis, and the run's name. Keys
// that are zero and must not be have their defaults, but for the rate, which must be given. What it says of network, method and data is replaced by what m and source
// are; keys of data that say how a set is read stay where source is the set that data.set names. A rate and a seed that differ
// from those of m's Spec are faults where both were set.
//
// A model that was not built by names is saved without a recipe: its weights are read by [Run] itself and by train --init, and
// not by commands such as eval.
func New(m *model.Model, source data.Source, c Config, o Options) (*Run, error) {
	if o.Notice == nil {
		o.Notice = func(string) {}
	}
	if m.Freed() {
		return nil, errors.New("train: the model was freed: a run needs one of its own, since it frees the one that it was given")
	}
	c, err := ownRecipe(c, m, source.Info())
	if err != nil {
		m.Free()
		return nil, err
	}
	folder, err := openFolder(o)
	if err != nil {
		m.Free()
		return nil, err
	}
	return newRun(&Model{Model: m, Config: c}, source, o, folder)
}

// newRun is New in a folder that is taken. It takes over that, too.
func newRun(m *Model, source data.Source, o Options, folder *runfolder.Folder) (*Run, error) {
	info, train := source.Info(), source.Part(data.Train)
	o.Notice = oneByOne(o.Notice)
	for _, line := range info.Notes {
		o.Notice(line)
	}
	r := &Run{
		folder: folder, set: source, info: info, model: m, notice: o.Notice, stall: cmp.Or(o.Stall, stall), saves: saves{asked: o.Save, patience: o.Patience, step: unsaved},
		perEpoch: data.Count(train.Len(), m.Config.Data.Batch, false),
	}
	data.OnBroken(source, func(line string) {
		r.broken.Store(true)
		o.Notice(line)
	})
	if r.perEpoch == 0 {
		m.Free()
		folder.Close()
		return nil, fault.New("data.batch is %d: must be at most %d, the number of training samples", m.Config.Data.Batch, train.Len())
	}
	err := trains(m)
	if err == nil && source.Part(data.Test).Len() == 0 {
		err = fault.New("%s has no test samples, which a run is evaluated on: data.test=0.1 splits a tenth of the training samples off, as data.Divide does for a program",
			show.Name(info.Name))
	}
	if err == nil && o.World != nil {
		err = r.agree(o.World)
	}
	if err == nil {
		err = r.start(o)
	}
	if err == nil && o.World != nil {
		err = r.lead(o.World)
	}
	if err != nil {
		m.Free()
		r.closeSpill()
		folder.Close()
		return nil, err
	}
	return r, nil
}

// trains returns a fault if a model was built to infer only.
func trains(m *Model) error {
	if m.Parts.Optim == nil {
		return fault.New("the network %s was built to infer, without an optimizer: model.Spec with Inference false, or model.Parts with Optim, trains", m.Net.Name)
	}
	return nil
}

// oneByOne returns a function that calls f and lets nobody else do so meanwhile.
func oneByOne(f func(string)) func(string) {
	var mu sync.Mutex
	return func(line string) {
		mu.Lock()
		defer mu.Unlock()
		f(line)
	}
}

// inputOf is what a network must know of a set's samples. One of a single row and column is a vector.
func inputOf(info data.Info) model.Input {
	shape := nn.Shape{C: info.Shape.C}
	if info.Shape.H > 1 || info.Shape.W > 1 {
		shape.H, shape.W = info.Shape.H, info.Shape.W
	}
	return model.Input{Shape: shape, Classes: len(info.Classes), Counts: info.Counts, Samples: info.Samples, MultiLabel: info.MultiLabel, Mean: info.Mean, Std: info.Std}
}

// fitsData returns a fault if a network is not for samples such as a set's. One of one's own may be for any.
func fitsData(m *Model, info data.Info) error {
	want, has, classes := m.Net.Input, inputOf(info).Shape, len(info.Classes)
	switch {
	case want.H != has.H:
		return fault.New("model.image is %d: %s has images of side %d", want.H, info.Name, has.H)
	case want.C != has.C:
		return fault.New("the network takes %d channels or values a sample: %s has %d", want.C, info.Name, has.C)
	case m.Rule.MultiLabel && !info.MultiLabel:
		return fault.New("the network learns any number of classes a sample: each of %s has one class; loss.name=cross-entropy fits those", info.Name)
	case !m.Rule.MultiLabel && info.MultiLabel:
		return fault.New("the network learns one class a sample: each of %s has any number of classes; loss.name=bce fits those", info.Name)
	case m.Net.Classes > 0 && m.Net.Classes < classes || info.MultiLabel && m.Net.Classes != classes:
		return fault.New("the network has %d classes: %s has %d", m.Net.Classes, info.Name, classes)
	}
	return nil
}

func dirs(first string) []string {
	if first == "" {
		return nil
	}
	return []string{first}
}

// start brings weights, position and sinks to where the run begins.
func (r *Run) start(o Options) error {
	c := r.model.Config
	if err := fitsData(r.model, r.info); err != nil {
		return err
	}
	r.at.Total = c.Schedule.Epochs * r.perEpoch
	if !o.Budget {
		r.at.Total *= r.cycles()
	}
	resumed := -1
	if o.Resume && r.folder.Has(lastFile) {
		if err := r.restore(); err != nil {
			return err
		}
		if err := r.resumes(o); err != nil {
			return err
		}
		resumed = r.at.Step
	} else if err := r.fromScratch(&o); err != nil {
		return err
	}
	r.at.Data = data.FingerprintOf(r.set)
	if o.Steps >= 0 {
		r.at.Total = o.Steps
	}
	if r.at.Total < 0 || r.at.Total > mostSteps {
		return fault.New("the run has %d steps, by --steps or schedule.epochs: must have at least 0 and at most %d", r.at.Total, mostSteps)
	}
	if n := c.Optim.Accumulate; n > r.at.Total && r.at.Total > 0 {
		r.notice(fmt.Sprintf("optim.accumulate is %d, and the run has %d steps: nothing is learned before as many batches make an update", n, r.at.Total))
	}
	if err := r.patient(); err != nil {
		return err
	}
	if err := r.fits(o); err != nil {
		return err
	}
	if resumed < 0 { // now that nothing is left that the user could have got wrong
		if err := prepare(r.folder, r.kept(), runfolder.Start{Init: o.Init, Total: r.at.Total}); err != nil {
			return err
		}
	} else if err := r.catchUp(); err != nil {
		return err
	}
	if err := r.folder.Claim(namesOf(ownFiles)...); err != nil {
		return err
	}
	if !r.finished() {
		if err := describe(r.folder, c, r.notice); err != nil {
			return err
		}
	}
	return r.openSinks(o.Sink, resumed)
}

// finished reports whether a run that goes on has nothing left to do.
func (r *Run) finished() bool {
	return r.at.Step > 0 && r.at.Step >= r.at.Total && r.at.Evaluated == r.at.Step
}

// cycles is how often the run goes through the schedule of the learning rate.
func (r *Run) cycles() int { return r.model.Cycles() }

// fromScratch brings the weights to where a run begins. One that was killed before its first checkpoint begins as it was
// begun then.
func (r *Run) fromScratch(o *Options) error {
	if begun := r.folder.Start(); o.Resume && begun != nil {
		o.Init = begun.Init
		r.at.Total = begun.Total
	}
	if err := r.begun(o.Init); err != nil {
		return err
	}
	if o.Init == "" {
		return r.place(func(*local.Module) error { return nil })
	}
	init, err := filepath.Abs(o.Init)
	if err != nil {
		return err
	}
	o.Init = init
	adoption, err := r.model.InitBy(o.Init, r.otherClasses, r.place)
	if err != nil {
		return err
	}
	if r.fresh = adoption.Heads; r.model.Config.Tune.HeadInit != "means" && r.model.Config.Tune.HeadInit != "probe" {
		if err := r.drawnForGood(); err != nil {
			return err
		}
	}
	if o.Adopted != nil {
		o.Adopted(adoption)
		return nil
	}
	for _, layer := range adoption.Fresh {
		o.Notice(fmt.Sprintf("%s has no %s that fits: it starts fresh", o.Init, layer))
	}
	for _, tensor := range adoption.Resized {
		o.Notice(fmt.Sprintf("%s: %s was resized", o.Init, tensor))
	}
	return nil
}

// otherClasses reports whether the metadata of weights names other classes than the run's data has, or in another order.
func (r *Run) otherClasses(meta map[string]string) bool {
	var theirs []string
	if json.Unmarshal([]byte(meta[metaClasses]), &theirs) != nil {
		return false // they do not say
	}
	return len(theirs) > 0 && !slices.Equal(theirs, r.info.Classes)
}

func (r *Run) openSinks(extra record.Sink, resumed int) (err error) {
	if err := r.folder.Claim(metricsFile); err != nil {
		return err
	}
	if r.log, err = record.OpenJSONL(r.folder.Path(metricsFile), resumed); err != nil {
		return err
	}
	if n := r.log.Broken(); n > 0 {
		r.notice(fmt.Sprintf("%s: %d lines could not be read and were dropped", r.folder.Path(metricsFile), n))
	}
	if lacks := r.log.LastEpoch(); resumed >= 0 && lacks < r.at.Evaluated {
		r.notice(fmt.Sprintf("%s lacks the evaluations behind step %d, up to that at step %d of the checkpoint",
			r.folder.Path(metricsFile), lacks, r.at.Evaluated))
	}
	if r.board, err = record.OpenTensorBoard(r.folder.Dir); err == nil {
		err = r.folder.Adopt(r.board.Name())
	}
	if err == nil {
		err = disk.SyncDir(r.folder.Dir)
	}
	if err != nil {
		r.log.Close()
		return err
	}
	if r.live = extra; extra == nil {
		r.live = record.Tee()
	}
	r.sink = record.Tee(r.log, r.board, r.live)
	return nil
}

// Close frees the model and gives the run folder back. The record is complete only if it returns nil. It may be called again.
func (r *Run) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	r.model.Free()
	return cmp.Or(r.sink.Close(), r.closeSpill(), r.folder.Close())
}
