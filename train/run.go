package train

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/record"
)

// Options are what a command line says about a run beyond its recipe.
type Options struct {
	Data   string       // folder to look for data in first
	Out    string       // run folder
	Resume bool         // go on with the run in Out
	Force  bool         // replace the run in Out
	Init   string       // safetensors file to start from
	Budget bool         // the recipe's epochs are those of the whole run, also of a method that trains its modules in turn
	Steps  int          // length of the run; negative: the recipe's epochs
	Sink   record.Sink  // gets every step, where the run folder gets every tenth; may be nil; the run closes it
	Notice func(string) // gets warnings, a line each; may be nil
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
	dir   string
	set   data.Source
	info  data.Info // the set's
	model *Model
	sink  record.Sink // everybody
	live  record.Sink // who wants every step
	at    progress

	perEpoch int
	times    []float64  // seconds of each step of this process
	spent    float64    // seconds of training since the last of these
	probed   []Accuracy // of a linear probe behind each module, once trained; nil where heads answer
	peak     int64      // of live tensor bytes while training
}

// FromRecipe opens the data and builds the model that a recipe names, and prepares the run as [New] does. The caller closes
// the run.
func FromRecipe(c Config, o Options) (*Run, error) {
	if o.Notice == nil {
		o.Notice = func(string) {}
	}
	source, err := data.Open(c.Data, c.Seed, dirs(o.Data))
	if err != nil {
		return nil, err
	}
	if !o.Resume && !o.Force && holdsRun(o.Out) { // before a network is built for nothing
		return nil, fault.New("%s holds a run already: give --resume to go on with it, --force to replace it, or another --out", o.Out)
	}
	m, err := NewModel(c, inputOf(source.Info()), false)
	if err != nil {
		return nil, err
	}
	return newRun(m, source, o)
}

// New prepares a run of a model on a data set, which may both be of one's own: it makes the run folder, or restores the run
// that is in it. The run takes the model over, whatever New returns. The caller closes the run.
//
// Of c counts what says how to train: the batch and its order, schedule and rate, probes and diagnosis, and the run's name.
// What it says of network, method and data is replaced by what m and source are. A model that was not built by names is saved
// without a recipe: its weights are read by [Run] itself and by train --init, and not by commands such as eval.
func New(m *model.Model, source data.Source, c Config, o Options) (*Run, error) {
	if o.Notice == nil {
		o.Notice = func(string) {}
	}
	c.Precision = precisionOf(m.DType)
	c.Method.Name, c.Method.Modules = "own", len(m.Modules())
	c.Model.Name, c.Data.Set = m.Net.Name, source.Info().Name
	if s := m.Spec; s != nil {
		c.Model, c.Method, c.Head, c.Optim, c.Seed = s.Net, s.Method, s.Head, s.Optim, s.Seed
	}
	if !o.Resume && !o.Force && holdsRun(o.Out) {
		m.Free()
		return nil, fault.New("%s holds a run already: resume it, replace it by force, or name another folder", o.Out)
	}
	return newRun(&Model{m, c}, source, o)
}

// newRun is New where nothing stands in the folder's way.
func newRun(m *Model, source data.Source, o Options) (*Run, error) {
	info, train := source.Info(), source.Part(data.Train)
	for _, line := range info.Notes {
		o.Notice(line)
	}
	data.OnBroken(source, o.Notice)
	r := &Run{dir: o.Out, set: source, info: info, model: m, perEpoch: data.Count(train.Len(), m.Config.Data.Batch, false)}
	if r.perEpoch == 0 {
		m.Free()
		return nil, fault.New("data.batch is %d: must be at most %d, the number of training samples", m.Config.Data.Batch, train.Len())
	}
	if err := r.start(o); err != nil {
		m.Free()
		return nil, err
	}
	return r, nil
}

// inputOf is what a network must know of a set's samples. One of a single row and column is a vector.
func inputOf(info data.Info) model.Input {
	shape := nn.Shape{C: info.Shape.C}
	if info.Shape.H > 1 || info.Shape.W > 1 {
		shape.H, shape.W = info.Shape.H, info.Shape.W
	}
	return model.Input{Shape: shape, Classes: len(info.Classes), Mean: info.Mean, Std: info.Std}
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
	if want, has := r.model.Net.Input, inputOf(r.info).Shape; want.H != has.H {
		return fault.New("model.image is %d: %s has images of side %d", want.H, r.info.Name, has.H)
	}
	r.at.Total = c.Schedule.Epochs * r.perEpoch
	if !o.Budget {
		r.at.Total *= r.model.Cycles()
	}
	resumed := -1
	switch {
	case o.Resume:
		if err := r.restore(); err != nil {
			return err
		}
		resumed = r.at.Step
	case o.Init != "":
		fresh, err := r.model.InitFrom(o.Init)
		if err != nil {
			return err
		}
		for _, head := range fresh {
			o.Notice(fmt.Sprintf("%s has no %s that fits: it starts fresh", o.Init, head))
		}
	}
	if o.Steps >= 0 {
		r.at.Total = o.Steps
	}
	if !o.Resume { // now that nothing is left that the user could have got wrong
		if err := prepare(r.dir); err != nil {
			return err
		}
	}
	if err := describe(r.dir, c); err != nil {
		return err
	}
	return r.openSinks(o.Sink, resumed)
}

func (r *Run) openSinks(extra record.Sink, resumed int) error {
	log, err := record.OpenJSONL(filepath.Join(r.dir, metricsFile), resumed)
	if err != nil {
		return err
	}
	board, err := record.OpenTensorBoard(r.dir)
	if err != nil {
		log.Close()
		return err
	}
	if r.live = extra; extra == nil {
		r.live = record.Tee()
	}
	r.sink = record.Tee(log, board, r.live)
	return nil
}

// Close frees the model. The record is complete only if it returns nil.
func (r *Run) Close() error {
	r.model.Free()
	return r.sink.Close()
}
