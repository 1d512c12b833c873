package train

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/seed"
	"github.com/locus-learn/locus/mesh"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/recipe"
	"github.com/locus-learn/locus/record"
	"github.com/locus-learn/locus/safetensors"
	"github.com/locus-learn/locus/torch"
)

// hello is what every rank says of itself before the first step.
type hello struct {
	Version, Engine string
	Recipe          string // resolved; "" where the rank takes rank 0's
}

// brief is what rank 0 tells the others: the recipe as it was settled, and what they must know of the data set.
type brief struct {
	Recipe string
	Info   data.Info
}

// own are keys that may differ from rank to rank: they say where and with what a process works, and not what it computes.
var own = []string{"name", "device", "threads", "data.dir", "data.workers", "data.broken", "mesh.interface", "mesh.port"}

// together returns a fault unless several processes can train by a recipe.
func (c Config) together(s mesh.Shape) error {
	switch {
	case s.Data > 1 && c.Tune.HeadWarmup > 0:
		return fault.New("tune.head_warmup is %g: must be 0 with mesh.data above 1, whose processes add up the gradients of whole modules", c.Tune.HeadWarmup)
	case c.Tune.HeadInit != "" && c.Tune.HeadInit != "fresh":
		return fault.New("tune.head_init is %s: must be fresh with several processes, of which none has the whole network", c.Tune.HeadInit)
	case c.Graphs:
		return fault.New("graphs is true: must be false with several processes, which wait for each other in a step")
	case c.Method.Resident > 0:
		return fault.New("method.resident is %d: must be 0 with several processes, each of which holds its modules in memory", c.Method.Resident)
	case c.Loss.MultiLabel():
		return fault.New("loss.name is bce: must be cross-entropy or focal with several processes, of which none hears all answers that mean average precision needs")
	case s.Modules == 1 && c.Method.Pipeline > 0:
		return fault.New("method.pipeline is %d: must be 0 where mesh.modules is 1, since each process drives its modules in lock-step", c.Method.Pipeline)
	}
	return nil
}

// fits returns a fault unless a model can be laid out on several processes.
func (m *Model) fits(s mesh.Shape) error {
	c := m.Config
	switch {
	case s.Modules > 1 && m.Rule.Needs.Error:
		return fault.New("mesh.modules is %d: must be 1 for method.name %s, whose modules wait for the network's error", s.Modules, c.Method.Name)
	case s.Modules > 1 && m.Views() > 1:
		return fault.New("mesh.modules is %d: must be 1 for method.name %s, whose evaluation compares features of all modules", s.Modules, c.Method.Name)
	}
	return s.Fits(len(m.Modules()), c.Data.Batch)
}

// agree makes sure that all processes of a world can train the run's model, and run the same on the same data.
func (r *Run) agree(w *mesh.World) error {
	c := r.model.Config
	refused := r.model.fits(w.Shape)
	doc, err := recipe.Describe(&c)
	if err != nil {
		return err
	}
	said, err := json.Marshal(newHello(string(doc)))
	if err != nil {
		return err
	}
	_, err = w.Exchange(said, func(all [][]byte) ([]byte, error) {
		if refused != nil {
			return nil, refused
		}
		if err := alike(w, c, all); err != nil {
			return nil, err
		}
		return json.Marshal(brief{string(doc), r.info})
	})
	if err != nil {
		return err
	}
	prints, err := json.Marshal(data.FingerprintOf(r.set))
	if err != nil {
		return err
	}
	_, err = w.Exchange(prints, func(all [][]byte) ([]byte, error) { return nil, sameData(w, all) })
	return err
}

// lead brings the run's model to the processes of a world, which it drives from then on.
func (r *Run) lead(w *mesh.World) (err error) {
	r.mesh, err = mesh.Lead(w, r.model.Chain, r.model.Config.Method.Pipeline)
	if err == nil {
		r.model.Learner = r.mesh
	}
	return err
}

func newHello(doc string) hello {
	env := record.CollectEnv("", 0)
	return hello{Version: env.Version + " " + env.Commit, Engine: torch.Describe().Version, Recipe: doc}
}

// alike returns a fault that names two ranks which do not run the same.
func alike(w *mesh.World, c Config, all [][]byte) error {
	var first hello
	for rank, said := range all {
		var h hello
		if err := json.Unmarshal(said, &h); err != nil {
			return fault.New("%s runs another locus than %s: all ranks must run the same one", w.Name(rank), w.Name(0))
		}
		if rank == 0 {
			first = h
		}
		for _, each := range []struct{ what, a, b string }{{"locus", first.Version, h.Version}, {"libtorch", first.Engine, h.Engine}} {
			if each.a != each.b {
				return fault.New("%s runs %s %s and %s runs %s: all ranks must run the same", w.Name(0), each.what, each.a, w.Name(rank), each.b)
			}
		}
		if rank == 0 || h.Recipe == "" {
			continue
		}
		theirs, _, err := resolve(recipe.Source{Path: w.Name(rank), Doc: []byte(h.Recipe)}, nil)
		if err != nil {
			return err
		}
		if _, auto := theirs.Method.Auto(); auto { // rank 0 has what was found
			theirs.Method.Cuts = c.Method.Cuts
		}
		other, err := recipe.Differ(&c, &theirs)
		if err != nil {
			return err
		}
		var apart []string
		for _, d := range other {
			if !slices.Contains(own, d.Key) {
				apart = append(apart, fmt.Sprintf("%s is %s and %s", d.Key, d.A, d.B))
			}
		}
		if len(apart) > 0 {
			return fault.New("%s and %s have other recipes: %s; all ranks must be started with the same one", w.Name(0), w.Name(rank), strings.Join(apart, ", "))
		}
	}
	return nil
}

// sameData returns a fault that names two ranks whose data differ, or one that has none.
func sameData(w *mesh.World, all [][]byte) error {
	var first data.Fingerprint
	for rank, said := range all {
		var print struct {
			data.Fingerprint
			Problem string
		}
		if len(said) == 0 {
			continue // reads no data
		}
		if err := json.Unmarshal(said, &print); err != nil {
			return fault.New("%s runs another locus than %s: all ranks must run the same one", w.Name(rank), w.Name(0))
		}
		if rank == 0 {
			first = print.Fingerprint
		}
		if print.Problem != "" {
			return fault.New("%s cannot read the data: %s", w.Name(rank), print.Problem)
		}
		if part := print.Fingerprint.Differ(first); part != "" {
			return fault.New("the %s of %s are not those of %s: all ranks that read data must have the same (--data names a folder)", part, w.Name(rank), w.Name(0))
		}
	}
	return nil
}

// Follow takes part in a run that rank 0 of o.World leads, until that ends it. The recipe may be nil where rank 0 alone knows
// it, as when a run goes on. Of the options it takes Data and World.
func Follow(c *Config, o Options) error {
	defer torch.Pin()()
	w := o.World
	h := newHello("")
	if c != nil {
		doc, err := recipe.Describe(c)
		if err != nil {
			return err
		}
		h.Recipe = string(doc)
	}
	said, err := json.Marshal(h)
	if err != nil {
		return err
	}
	answer, err := w.Exchange(said, nil)
	if err != nil {
		return err
	}
	var b brief
	if err := json.Unmarshal(answer, &b); err != nil {
		return err
	}
	agreed, _, err := resolve(recipe.Source{Path: "rank 0's recipe", Doc: []byte(b.Recipe)}, nil)
	if err != nil {
		return err
	}
	if c != nil {
		agreed.Device, agreed.Threads, agreed.Data.Dir, agreed.Data.Workers = c.Device, c.Threads, c.Data.Dir, c.Data.Workers
	}
	f := &feeder{config: agreed, info: b.Info}
	if said, err = f.open(w, o.Data); err != nil {
		return err
	}
	if _, err := w.Exchange(said, nil); err != nil {
		return err
	}
	agreed.Method.Pipeline = 0
	m, err := NewModel(agreed, inputOf(b.Info), false)
	if err != nil {
		return err
	}
	defer m.Free()
	defer f.close()
	f.model = m
	if part, _ := w.Part(); part > 0 { // what layers draw differs from part to part of a batch
		m.Chain.Rule.Seed = seed.Derive(agreed.Seed, "train/copy", uint64(part))
	}
	return mesh.Follow(w, m.Chain, f.feed)
}

// feeder reads a rank's part of every batch.
type feeder struct {
	config      Config
	info        data.Info
	model       *Model
	set         data.Source
	part, parts int
	loader      data.Batches
	epoch, next int
}

// open opens the data where this rank reads any, and returns what to say of them.
func (f *feeder) open(w *mesh.World, dir string) (said []byte, err error) {
	if !w.FeedsItself() {
		return nil, nil
	}
	f.part, f.parts = w.Part()
	if f.set, err = data.Open(f.config.Data, f.config.Seed, dirs(dir)); err != nil {
		return json.Marshal(map[string]string{"Problem": err.Error()})
	}
	return json.Marshal(data.FingerprintOf(f.set))
}

// feed implements [mesh.Feed].
func (f *feeder) feed(epoch, batch int) (x, y torch.Tensor, err error) {
	if f.loader == nil || f.epoch != epoch || f.next != batch {
		f.close()
		f.loader = trainingBatches(f.model, f.set, epoch, batch, f.part, f.parts)
	}
	b, err := f.loader.Next(context.Background())
	if err != nil {
		return x, y, err
	}
	f.epoch, f.next = epoch, batch+1
	x, y = batchTensors(f.model, f.info, b)
	return x, y, nil
}

func (f *feeder) close() {
	if f.loader != nil {
		f.loader.Close()
	}
}

// stored describes parameters to the writer of a file, which asks for the bytes of each when its turn comes, also where another
// rank has them.
func (r *Run) stored(params []*nn.Param) (all []safetensors.Tensor) {
	if r.mesh == nil {
		return r.model.Stored(params)
	}
	for _, p := range params {
		if a, away := r.mesh.Param(p.Name); away {
			all = append(all, r.fetched(a))
		} else {
			all = append(all, model.StoredTensor(p.Name, p.Value))
		}
	}
	return all
}

// states describes the tensors of all optimizers in the same way.
func (r *Run) states() (all []safetensors.Tensor) {
	for i, m := range r.model.Modules() {
		if m.Away() {
			continue
		}
		for _, s := range m.Optim.State() {
			all = append(all, r.model.Tensor(i, s.Name, s.Value))
		}
	}
	if r.mesh != nil {
		for _, a := range r.mesh.States() { // of later modules: a rank has a run of them, rank 0 the first
			all = append(all, r.fetched(a))
		}
	}
	return all
}

func (r *Run) fetched(a mesh.Away) safetensors.Tensor {
	return safetensors.Tensor{Name: a.Name, DType: model.StoredType(a.DType), Shape: a.Shape, Load: func(*[]byte) ([]byte, error) { return r.mesh.Fetch(a) }}
}
