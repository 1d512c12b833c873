package train

import (
	"encoding/hex"
	"errors"
	"hash/fnv"
	"os"
	"path/filepath"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/store"
	"github.com/locus-learn/locus/torch"
)

// spillFolder is where modules wait that are not in memory, and signals if they are to, below the run folder.
const spillFolder = "spill"

// spill is where a run's modules wait while they are not in memory.
type spill struct {
	local.Store
	dir     string
	files   *store.Disk  // nil in memory
	signals *store.Queue // nil where signals wait in memory
}

// place gives modules the values that a run begins with, or goes on with: fill writes them over those of a new network. Where
// modules come and go they go to the store.
func (r *Run) place(fill func(*local.Module) error) error {
	if !r.model.Streams() {
		return r.model.Each(true, fill)
	}
	if err := r.openSpill(); err != nil {
		return err
	}
	return r.model.Begin(r.spill.Store, fill)
}

// openSpill makes the place where modules wait.
func (r *Run) openSpill() error {
	o := r.model.Config.Method
	where, signals := o.Spill, o.Signals == "spill"
	if where == "memory" {
		r.spill.Store = store.NewMemory(len(r.model.Modules()))
		if signals {
			r.model.Chain.Queue = store.NewHostQueue(r.model.Device())
		}
		return nil
	}
	if err := r.folder.Make(); err != nil {
		return err
	}
	r.spill.dir = r.folder.Path(spillFolder)
	if where == "" {
		if err := r.folder.Claim(r.spillFiles()...); err != nil {
			return err
		}
	} else {
		run, err := filepath.Abs(r.folder.Dir)
		if err != nil {
			return err
		}
		sum := fnv.New64a()
		sum.Write([]byte(run))
		r.spill.dir = filepath.Join(where, "locus-"+hex.EncodeToString(sum.Sum(nil))) // of the same run, the same
	}
	if err := disk.MkdirAll(r.spill.dir); err != nil {
		cause, _ := disk.Cause(err)
		return fault.New("method.spill: %q cannot be made: %w; must be a folder that can be written to, empty for the run folder, or memory", r.spill.dir, cause)
	}
	r.spill.files = store.NewDisk(r.spill.dir)
	r.spill.Store = r.spill.files
	if signals {
		r.spill.signals = store.NewQueue(r.spill.dir, r.model.Device())
		r.model.Chain.Queue = r.spill.signals
	}
	return nil
}

// spillFiles are the names of the run folder's files in which modules and signals wait.
func (r *Run) spillFiles() (names []string) {
	files := store.Names(len(r.model.Modules()))
	if o := r.model.Config.Method; o.Signals == "spill" {
		files = append(files, store.QueueNames(o.Visit)...)
	}
	for _, name := range files {
		names = append(names, spillFolder+"/"+name)
	}
	return names
}

// kept are the files of the run folder that this process has written before the run begins.
func (r *Run) kept() []string {
	if r.spill.files == nil || r.model.Config.Method.Spill != "" {
		return nil
	}
	return r.spillFiles()
}

// closeSpill removes what waits. Files that cannot be removed are no reason to fail: the next run of the folder replaces them.
func (r *Run) closeSpill() error {
	if r.spill.files == nil {
		return nil
	}
	err := r.spill.files.Close()
	if r.spill.signals != nil {
		err = errors.Join(err, r.spill.signals.Close())
		r.spill.signals = nil
	}
	if r.model.Config.Method.Spill == "" {
		err = errors.Join(err, r.folder.Remove(r.spillFiles()...))
	}
	os.Remove(r.spill.dir)
	r.spill.files = nil
	return err
}

// reader is the store of a model that only infers: its modules wait in the checkpoint.
type reader struct{ *model.Weights }

// Load implements [local.Store].
func (s reader) Load(m *local.Module) error {
	for _, h := range m.Held() {
		if err := s.load(h); err != nil {
			return err
		}
	}
	return nil
}

func (s reader) load(h local.Held) error {
	if h.Value.IsAway() {
		scope := h.Value.Device().Scope(torch.NoGrad)
		h.Value.Become(scope.Full(h.Value.DType(), 0, h.Value.Shape()...))
		scope.Close()
	}
	return s.Weights.Read(h.Name, h.Value)
}

// Save implements [local.Store]: nothing changes.
func (reader) Save(*local.Module) error { return nil }

// Ahead implements [local.Store].
func (reader) Ahead(*local.Module) {}

// Read implements [local.Store].
func (s reader) Read(m *local.Module, name string, buffer *[]byte) ([]byte, error) {
	for _, h := range m.Held() {
		if h.Name != name {
			continue
		}
		h.Value = h.Value.Device().Away(h.Value.DType(), h.Value.Shape()...) // the module's own stays as it is
		defer h.Value.Free()
		if err := s.load(h); err != nil {
			return nil, err
		}
		*buffer = h.Value.DataInto(*buffer)
		return *buffer, nil
	}
	return nil, fault.New("module %d holds no %s", m.Index, name)
}
