package train

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/recipe"
	"github.com/locus-learn/locus/safetensors"
)

// Names within a run folder. A checkpoint is two files: the weights, which need nothing else to be used, and beside
// them the state that a resumed run needs. The weights name their state file, which has the step in its own name, so
// that a run killed between the two writes still has a pair that belongs together.
const (
	lastFile = "last.safetensors"
	bestFile = "best.safetensors"
	emaFile  = "ema.safetensors" // averaged weights, beside the running statistics of the last ones
)

// Keys of the weights' metadata.
const (
	metaRecipe     = "locus.recipe"      // YAML, resolved
	metaInput      = "locus.input"       // nn.Shape of an image, JSON
	metaClasses    = "locus.classes"     // names, JSON
	metaMultiLabel = "locus.multi_label" // "true" in exported files whose logits are each to be taken by a sigmoid
	metaState      = "locus.state"       // file name of the state
	metaDataset    = "locus.dataset"     // name, subset or not, mean and std, JSON
	metaRun        = "locus.run"         // progress, JSON, in the state file
	metaStep       = "locus.step"        // of the averages
	metaPair       = "locus.pair"        // that of the state
)

// dataset is what a model must remember of the set it was trained on.
type dataset struct {
	Name       string
	Subset     bool
	Mean, Std  []float64
	MultiLabel bool `json:",omitempty"` // images have any number of classes

	Data data.Fingerprint `json:",omitzero"` // empty in those of earlier programs
}

// progress is the position of a run: with it, the optimizer's state and the seed, a run goes on bit for bit, since
// data order and all random choices derive from the seed, the epoch and the batch.
type progress struct {
	Step      int // done
	Total     int
	Epoch     int     // the one under way, from 0
	Batch     int     // the next one of this epoch
	Evaluated int     // the step of the last evaluation
	Sums      sums    // of this epoch
	Seconds   float64 // of training, so far
	Best      float64 // validation accuracy
	Stale     int     `json:",omitempty"` // evaluations since then
	Data      data.Fingerprint
	Broken    bool `json:",omitempty"` // some samples could not be read
	Lowest    lowest

	// Losses are those of modules at their last step, by number from 1: see [local.Module.LastLoss].
	Losses map[int]float64 `json:",omitempty"`

	// Pair tells the checkpoint at this step from those of other runs: step and digest. The weights have it, too.
	Pair string `json:",omitempty"`
}

// mostSteps bounds the length of a run, so that products with the number of its modules do not overflow.
const mostSteps = 1 << 50

// check returns an error unless a position read from a file is one that a run can have that has so many batches an epoch,
// and so many modules.
func (p progress) check(perEpoch, modules int) error {
	for _, n := range []struct {
		name        string
		value, most int
	}{
		{"Step", p.Step, mostSteps}, {"Total", p.Total, mostSteps}, {"Epoch", p.Epoch, p.Step}, {"Batch", p.Batch, perEpoch},
		{"Evaluated", p.Evaluated, p.Step}, {"Stale", p.Stale, p.Step}, {"Sums.Steps", p.Sums.Steps, p.Step}, {"Lowest.Step", p.Lowest.Step, p.Step},
	} {
		if n.value < 0 || n.value > n.most {
			return fmt.Errorf("its position's %s is %d: must be from 0 to %d", n.name, n.value, n.most)
		}
	}
	for _, each := range [][]mean{p.Sums.SGR, p.Sums.Cos, p.Sums.Busy, p.Sums.Wait} {
		if n := len(each); n != 0 && n != modules {
			return fmt.Errorf("its position has sums of %d modules: must be those of %d", n, modules)
		}
	}
	for k := range p.Losses {
		if k < 1 || k > modules {
			return fmt.Errorf("its position has the loss of module %d: must be from 1 to %d", k, modules)
		}
	}
	return nil
}

// write writes the checkpoint of a run: the metrics so far first, which it must not be ahead of, then the state, then the
// weights that name it, then old states go.
func (r *Run) write() error {
	defer r.watch.during("save", func() string {
		return fmt.Sprintf("the checkpoint at step %d waits for %s", r.at.Step, show.Name(r.folder.Dir))
	})()
	if err := r.spoiled(); err != nil {
		return err
	}
	r.logged(errors.Join(r.log.Sync(), r.board.Sync()))
	state, at := stateFile(r.at.Step), r.at
	at.Lowest, at.Losses = at.Lowest.at(at.Step), r.lastLosses()
	at.Broken = at.Broken || r.broken.Load()
	at.Pair = at.pair(r.model.Config.Seed)
	position, err := json.Marshal(at)
	if err != nil {
		return err
	}
	if err := r.put(state, r.states(), map[string]string{metaRun: string(position)}); err != nil {
		return err
	}
	if err := r.keepLast(); err != nil {
		return err
	}
	if err := r.saveWeights(lastFile, map[string]string{metaState: state, metaPair: at.Pair}); err != nil {
		return err
	}
	r.at, r.saves.step = at, at.Step
	if err := r.saveAverages(); err != nil {
		return err
	}
	return r.prune()
}

// pair returns what the checkpoint at a position is told by. A step keeps its own: a run that goes on may have its modules in
// other processes, and know fewer losses, when it saves that step again, and may be killed with only the state written.
func (p progress) pair(seed uint64) string {
	step := fmt.Sprintf("%d-", p.Step)
	if strings.HasPrefix(p.Pair, step) {
		return p.Pair
	}
	of := sha256.New()
	fmt.Fprintln(of, seed)
	for _, k := range slices.Sorted(maps.Keys(p.Losses)) {
		fmt.Fprintln(of, k, p.Losses[k])
	}
	return step + hex.EncodeToString(of.Sum(nil)[:16])
}

// lastLosses returns the losses at the last step of the modules that trained in it.
func (r *Run) lastLosses() map[int]float64 {
	all := map[int]float64{}
	for _, m := range r.model.Learner.Modules() {
		if loss := m.LastLoss(); !math.IsNaN(loss) && !math.IsInf(loss, 0) {
			all[m.Index] = loss
		}
	}
	return all
}

// put writes a safetensors file of the run.
func (r *Run) put(name string, tensors []safetensors.Tensor, meta map[string]string) error {
	if err := r.folder.Claim(name); err != nil {
		return err
	}
	err := safetensors.Write(r.folder.Path(name), tensors, meta)
	if fault.Is(err) {
		return r.folder.Failed(name, errors.Unwrap(err))
	}
	return err
}

// saveAverages writes the averages of the weights where the optimizers keep any.
func (r *Run) saveAverages() error {
	if r.model.Config.Optim.EMA == 0 {
		return nil
	}
	return r.withAverages(func() error { return r.saveWeights(emaFile, map[string]string{metaStep: strconv.Itoa(r.at.Step)}) })
}

// withAverages calls do while parameters and averages have changed places, tensor by tensor: no second set is held. The
// buffers, running statistics among them, stay as they are: no averages are kept of them.
func (r *Run) withAverages(do func() error) error {
	swap := func() error {
		if r.mesh != nil {
			return r.mesh.SwapAverages()
		}
		return r.model.Each(true, func(m *local.Module) error {
			optim.SwapAverage(m.Optim)
			return nil
		})
	}
	if err := swap(); err != nil {
		return err
	}
	err := do()
	return cmp.Or(err, swap())
}

// saveWeights writes the weights under a name, with what they say of themselves and more.
func (r *Run) saveWeights(name string, more map[string]string) error {
	meta := map[string]string{"format": "pt"}
	maps.Copy(meta, more)
	if r.model.Spec != nil { // otherwise no recipe can name the network
		doc, err := recipe.Describe(&r.model.Config)
		if err != nil {
			return err
		}
		meta[metaRecipe] = string(doc)
	}
	set := dataset{r.info.Name, r.info.Subset, r.info.Mean, r.info.Std, r.info.MultiLabel, r.at.Data}
	for key, v := range map[string]any{metaInput: r.model.Net.Input, metaClasses: r.info.Classes, metaDataset: set} {
		text, err := json.Marshal(v)
		if err != nil {
			return err
		}
		meta[key] = string(text)
	}
	return r.put(name, r.stored(r.model.Params()), meta)
}

// restore continues from the checkpoint in the run folder, in which it changes nothing. Its state is compared with the optimizers before
// it is read.
func (r *Run) restore() error {
	w, err := model.OpenWeights(r.folder.Path(lastFile))
	if err != nil {
		return err
	}
	defer w.Close()
	state := filepath.Base(w.Metadata()[metaState])
	if w.Metadata()[metaState] == "" {
		return fault.New("%s names no state of the optimizers, as other checkpoints than the last one do: put back the run's own, or begin another run from these weights with --init",
			show.Name(w.Path()))
	}
	path := r.folder.Path(state)
	s, err := model.OpenWeights(path)
	if _, gone := os.Lstat(path); errors.Is(gone, fs.ErrNotExist) {
		return fault.New("%s is not there, which %s goes on from: put it back, or begin another run from these weights with --init %s",
			show.Name(path), lastFile, show.Name(w.Path()))
	}
	if err != nil {
		return err
	}
	defer s.Close()
	if err := json.Unmarshal([]byte(s.Metadata()[metaRun]), &r.at); err != nil {
		return fault.New("%s: its position cannot be read: %w", show.Name(path), err)
	}
	if err := r.at.check(r.perEpoch, len(r.model.Modules())); err != nil {
		return fault.New("%s: %w", show.Name(path), err)
	}
	if stateFile(r.at.Step) != state {
		return fault.New("%s has the state at step %d: must have that of its name; put back the run's own", show.Name(path), r.at.Step)
	}
	if pair := w.Metadata()[metaPair]; pair != "" && pair != r.at.Pair { // weights of earlier programs have none
		return fault.New("%s was not written together with %s: one of them is another run's; put back the run's own", show.Name(path), lastFile)
	}
	err = r.place(func(m *local.Module) error {
		if !r.model.filled {
			if err := w.Fill(m.Params); err != nil {
				return err
			}
		}
		for _, t := range m.Optim.State() {
			if err := s.Read(t.Name, t.Value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, m := range r.model.Learner.Modules() {
		if loss, ok := r.at.Losses[m.Index]; ok {
			m.SetLastLoss(loss)
		}
	}
	r.saves.step = r.at.Step
	return nil
}

// catchUp does what a run may have been killed before it came to.
func (r *Run) catchUp() error {
	if err := r.renewAverages(); err != nil {
		return err
	}
	return r.prune()
}

// renewAverages writes the averages again where the run was killed between them and the weights.
func (r *Run) renewAverages() error {
	if r.model.Config.Optim.EMA == 0 {
		return nil
	}
	f, err := safetensors.Open(r.folder.Path(emaFile))
	if err == nil {
		step := f.Metadata()[metaStep]
		f.Close()
		if step == strconv.Itoa(r.at.Step) {
			return nil
		}
	}
	return r.saveAverages()
}
