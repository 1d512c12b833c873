package train

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/recipe"
	"github.com/locus-learn/locus/safetensors"
	"github.com/locus-learn/locus/torch"
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
	metaRecipe  = "locus.recipe"  // YAML, resolved
	metaInput   = "locus.input"   // nn.Shape of an image, JSON
	metaClasses = "locus.classes" // names, JSON
	metaState   = "locus.state"   // file name of the state
	metaDataset = "locus.dataset" // name, subset or not, mean and std, JSON
	metaRun     = "locus.run"     // progress, JSON, in the state file
	metaStep    = "locus.step"    // of the averages
)

// dataset is what a model must remember of the set it was trained on.
type dataset struct {
	Name      string
	Subset    bool
	Mean, Std []float64
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
	Data      data.Fingerprint
	Lowest    lowest
}

// write writes the checkpoint of a run: the metrics so far first, which it must not be ahead of, then the state, then the
// weights that name it, then old states go.
func (r *Run) write() error {
	if err := r.spoiled(); err != nil {
		return err
	}
	r.logged(errors.Join(r.log.Sync(), r.board.Sync()))
	state, at := stateFile(r.at.Step), r.at
	at.Lowest = at.Lowest.at(at.Step)
	position, err := json.Marshal(at)
	if err != nil {
		return err
	}
	var tensors []safetensors.Tensor
	for _, m := range r.model.Learner.Modules() {
		for _, s := range m.Optim.State() {
			tensors = append(tensors, stored(s.Name, s.Value))
		}
	}
	if err := r.put(state, tensors, map[string]string{metaRun: string(position)}); err != nil {
		return err
	}
	if err := r.keepLast(); err != nil {
		return err
	}
	if err := r.saveWeights(lastFile, state); err != nil {
		return err
	}
	r.at, r.saves.step = at, at.Step
	if err := r.saveAverages(); err != nil {
		return err
	}
	return r.prune()
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
	return r.withAverages(func() error { return r.saveWeights(emaFile, "") })
}

// withAverages calls do while parameters and averages have changed places, tensor by tensor: no second set is held. The
// buffers, running statistics among them, stay as they are: no averages are kept of them.
func (r *Run) withAverages(do func() error) error {
	swap := func() {
		for _, m := range r.model.Learner.Modules() {
			optim.SwapAverage(m.Optim)
		}
	}
	swap()
	defer swap()
	return do()
}

func (r *Run) saveWeights(name, state string) error {
	meta := map[string]string{"format": "pt"}
	if r.model.Spec != nil { // otherwise no recipe can name the network
		doc, err := recipe.Describe(&r.model.Config)
		if err != nil {
			return err
		}
		meta[metaRecipe] = string(doc)
	}
	if state != "" {
		meta[metaState] = state
	}
	set := dataset{r.info.Name, r.info.Subset, r.info.Mean, r.info.Std}
	for key, v := range map[string]any{metaInput: r.model.Net.Input, metaClasses: r.info.Classes, metaDataset: set} {
		text, err := json.Marshal(v)
		if err != nil {
			return err
		}
		meta[key] = string(text)
	}
	if name == emaFile {
		meta[metaStep] = strconv.Itoa(r.at.Step)
	}
	return r.put(name, weights(r.model.Params()), meta)
}

func weights(params []*nn.Param) []safetensors.Tensor {
	var out []safetensors.Tensor
	for _, p := range params {
		out = append(out, stored(p.Name, p.Value))
	}
	return out
}

// stored describes a tensor to the writer, which asks for its bytes when their turn comes.
func stored(name string, t torch.Tensor) safetensors.Tensor {
	return safetensors.Tensor{
		Name: name, DType: dtypes[t.DType()], Shape: t.Shape(),
		Load: func() ([]byte, error) { return t.Data(), nil },
	}
}

var dtypes = map[torch.DType]safetensors.DType{
	torch.Float32: "F32", torch.Float64: "F64", torch.BFloat16: "BF16", torch.Int64: "I64", torch.Uint8: "U8", torch.Bool: "BOOL",
}

// fetch copies tensor name of file f over t, whose shape it must have; the type is converted.
func fetch(f *safetensors.File, path, name string, t torch.Tensor) error {
	info, ok := f.Info(name)
	if !ok {
		return fault.New("%s has no tensor %s %v", path, name, t.Shape())
	}
	if !slices.Equal(info.Shape, t.Shape()) {
		return fault.New("%s: tensor %s is %v, the network's is %v", path, name, info.Shape, t.Shape())
	}
	var dtype torch.DType = -1
	for d, stored := range dtypes {
		if stored == info.DType {
			dtype = d
		}
	}
	if dtype < 0 {
		return fault.New("%s: tensor %s is of type %s: must be F32, F64, BF16 or I64", path, name, info.DType)
	}
	bytes, err := f.Read(name)
	if err != nil {
		return err
	}
	if i := notFinite(info.DType, bytes); i >= 0 {
		return fault.New("%s: tensor %s is not finite at element %d: these weights are from a run that diverged; use an earlier checkpoint",
			path, name, i)
	}
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	t.Copy(s.FromBytes(dtype, bytes, info.Shape...))
	return nil
}

// restore continues from the checkpoint in r.dir.
func (r *Run) restore() error {
	path := r.folder.Path(lastFile)
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, p := range r.model.Params() {
		if err := fetch(f, path, p.Name, p.Value); err != nil {
			return err
		}
	}
	state := r.folder.Path(filepath.Base(f.Metadata()[metaState]))
	s, err := safetensors.Open(state)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, m := range r.model.Learner.Modules() {
		for _, t := range m.Optim.State() {
			if err := fetch(s, state, t.Name, t.Value); err != nil {
				return err
			}
		}
	}
	if err := json.Unmarshal([]byte(s.Metadata()[metaRun]), &r.at); err != nil {
		return fault.New("%s: its position cannot be read: %w", state, err)
	}
	if err := r.renewAverages(); err != nil {
		return err
	}
	r.saves.step = r.at.Step
	return r.prune() // a run may have been killed before it came to that
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

// InitFrom overwrites a model's weights by those of a safetensors file: one of our checkpoints, whatever its cuts, or
// published weights under PyTorch's names. It returns the local heads that the file lacks or, because the cuts moved, has
// in another shape; they stay as they are. Any other difference is a fault that names the first tensor and both shapes.
func (m *Model) InitFrom(path string) (fresh []string, err error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	known := map[string]bool{}
	fresh = misfits(m.Params(), f)
	for _, p := range m.Params() {
		known[p.Name] = true
		_, there := f.Info(p.Name)
		switch {
		case isLocal(p.Name) && slices.Contains(fresh, headOf(p.Name)):
		case there:
			if err := fetch(f, path, p.Name, p.Value); err != nil {
				return nil, err
			}
		case strings.HasSuffix(p.Name, ".num_batches_tracked"): // older PyTorch did not save it
		default:
			return nil, fault.New("%s has no tensor %s %v", path, p.Name, p.Value.Shape())
		}
	}
	for _, name := range f.Names() {
		if !known[name] && !isLocal(name) {
			info, _ := f.Info(name)
			return nil, fault.New("%s: tensor %s %v has no place in the network", path, name, info.Shape)
		}
	}
	return fresh, nil
}

// misfits lists the local heads of which a tensor is not in the file, or not in its shape.
func misfits(params []*nn.Param, f *safetensors.File) (heads []string) {
	for _, p := range params {
		info, there := f.Info(p.Name)
		fits := there && slices.Equal(info.Shape, p.Value.Shape())
		if isLocal(p.Name) && !fits && !slices.Contains(heads, headOf(p.Name)) {
			heads = append(heads, headOf(p.Name))
		}
	}
	return heads
}

// isLocal reports whether a tensor belongs to a local head, a decoder or a module's fixed feedback, which come and go with
// the cuts and the method.
func isLocal(name string) bool {
	prefix, _, _ := strings.Cut(name, ".")
	return slices.Contains([]string{"heads", "decoders", "feedback"}, prefix)
}

// headOf shortens heads.2.conv.weight to heads.2.
func headOf(name string) string { return strings.Join(strings.SplitN(name, ".", 3)[:2], ".") }
