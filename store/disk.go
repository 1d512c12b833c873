package store

import (
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/safetensors"
)

// Keys of a file's metadata: whose it is.
const (
	metaOwner  = "locus.store"
	metaModule = "locus.module"
)

// Disk is a [local.Store] in a folder, one file a module. It is for one process: what a run needs to go on after it was
// killed is in its checkpoints, and files that a killed run has left are replaced or removed. Hence nothing is synced.
//
// A file is never written in place. A module is saved beside its last file, which goes when the new one is whole.
type Disk struct {
	dir           string
	owner         string
	read, written atomic.Int64

	mutex sync.Mutex
	files map[int]string // of each module; "" for none
}

// NewDisk returns a store in a folder that exists and that nobody else writes to. The caller closes it.
func NewDisk(dir string) *Disk {
	return &Disk{dir: dir, owner: strconv.FormatUint(rand.Uint64(), 36), files: map[int]string{}}
}

// Names lists all files that a store of so many modules may write, below its folder.
func Names(modules int) (names []string) {
	for k := range modules {
		names = append(names, name(k+1, 'a'), name(k+1, 'b'))
	}
	return names
}

func name(module int, turn byte) string {
	return fmt.Sprintf("module-%04d.%c.safetensors", module, turn)
}

// file returns the path of a module's file.
func (s *Disk) file(m *local.Module) string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return filepath.Join(s.dir, s.files[m.Index])
}

// Save implements [local.Store].
func (s *Disk) Save(m *local.Module) error {
	s.mutex.Lock()
	last := s.files[m.Index]
	s.mutex.Unlock()
	next, other := name(m.Index, 'a'), name(m.Index, 'b')
	if last == next {
		next, other = other, next
	}
	if err := s.write(m, next); err != nil {
		return s.failed(m, err)
	}
	s.mutex.Lock()
	s.files[m.Index] = next
	s.mutex.Unlock()
	if err := disk.Remove(filepath.Join(s.dir, other)); err != nil {
		return s.failed(m, err)
	}
	return nil
}

func (s *Disk) write(m *local.Module, name string) error {
	var tensors []safetensors.Tensor
	for _, h := range m.Held() {
		tensors = append(tensors, tensor(h.Name, h.Value, func(buffer *[]byte) ([]byte, error) { return h.Value.Elements(buffer), nil }))
	}
	meta := map[string]string{metaOwner: s.owner, metaModule: strconv.Itoa(m.Index)}
	return disk.Scratch(filepath.Join(s.dir, name), func(w io.Writer) error {
		counted := counter{w, &s.written}
		return safetensors.WriteTo(counted, tensors, meta)
	})
}

// failed words what the file system refused.
func (s *Disk) failed(m *local.Module, err error) error {
	cause, ok := disk.Cause(err)
	if !ok {
		return err
	}
	return fault.New("module %d, %.1f MiB, cannot be kept in %q while it is not in memory: %w; method.spill names another folder",
		m.Index, float64(bytes(m))/(1<<20), s.dir, cause)
}

// Load implements [local.Store].
func (s *Disk) Load(m *local.Module) error {
	path := s.file(m)
	f, err := s.open(path, m)
	if err != nil {
		return err
	}
	defer f.Close()
	var buffer []byte
	for _, h := range m.Held() {
		info, ok := f.Info(h.Name)
		if !ok || string(info.DType) != h.Value.DType().Code() || !slices.Equal(info.Shape, h.Value.Shape()) {
			return foreign(path, m)
		}
		err := h.Value.ReturnFrom(func(elements []byte) error {
			_, err := f.ReadInto(h.Name, elements)
			return err
		}, &buffer, h.Leaf)
		if err != nil {
			return lost(err)
		}
		s.read.Add(h.Value.Bytes())
	}
	return nil
}

// open opens a module's file and makes sure that it is.
func (s *Disk) open(path string, m *local.Module) (*safetensors.File, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, lost(err)
	}
	if meta := f.Metadata(); meta[metaOwner] != s.owner || meta[metaModule] != strconv.Itoa(m.Index) {
		f.Close()
		return nil, foreign(path, m)
	}
	return f, nil
}

// lost says what to do without a file.
func lost(err error) error {
	return fault.New("%w; what the run kept there is lost, and --resume goes on from the last checkpoint", err)
}

func foreign(path string, m *local.Module) error {
	return fault.New("%s is not what this run keeps of module %d: somebody has replaced it; --resume goes on from the last checkpoint", path, m.Index)
}

// Ahead implements [local.Store]: the system reads the file into its own cache.
func (s *Disk) Ahead(m *local.Module) { disk.Ahead(s.file(m)) }

// Read implements [local.Store].
func (s *Disk) Read(m *local.Module, name string, buffer *[]byte) ([]byte, error) {
	f, err := s.open(s.file(m), m)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if *buffer, err = f.ReadInto(name, *buffer); err != nil {
		return nil, lost(err)
	}
	return *buffer, nil
}

// Traffic returns how many bytes have been read and written so far.
func (s *Disk) Traffic() (read, written int64) { return s.read.Load(), s.written.Load() }

// Close removes the store's files, but none that somebody has put in their place. The folder stays.
func (s *Disk) Close() error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for _, name := range s.files {
		if err := removeOwn(filepath.Join(s.dir, name), s.owner); err != nil {
			return err
		}
	}
	clear(s.files)
	return nil
}

// removeOwn removes the file at path if it has this owner.
func removeOwn(path, owner string) error {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil // gone, or not ours
	}
	own := f.Metadata()[metaOwner] == owner
	f.Close()
	if !own {
		return nil
	}
	return disk.Remove(path)
}

// counter counts what is written.
type counter struct {
	io.Writer
	n *atomic.Int64
}

func (c counter) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.n.Add(int64(n))
	return n, err
}
