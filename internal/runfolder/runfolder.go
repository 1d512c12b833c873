// Package runfolder keeps the folder of a run: one process at a time works in it, and it knows which files in it are the
// run's own. Nothing else is ever replaced or removed.
package runfolder

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
)

// Names in a run folder that are this package's.
const (
	manifestFile = "manifest.json"
	lockFile     = ".lock"
)

// Start is how a run was begun beyond its recipe, for one that is killed before its first checkpoint.
type Start struct {
	Init  string `json:"init,omitempty"` // file of the weights it began from
	Total int    `json:"total"`          // steps
}

// manifest is what a run has written.
type manifest struct {
	Files []string `json:"files"` // below the folder, with slashes
	Start *Start   `json:"start,omitempty"`
	Runs  []string `json:"runs,omitempty"` // of a comparison: the folders of its runs, in order
}

// Folder is a run folder that this process works in.
type Folder struct {
	Dir      string
	notice   func(string)
	lock     *disk.Lock // nil until there is a folder to lock
	manifest manifest
	saw      []byte // the manifest on disk, as this process read or wrote it
}

// Lost reports that another process has taken a folder over from this one.
type Lost struct {
	Dir string
	By  *disk.Held // nil if it is done with the folder
}

func (l *Lost) Error() string {
	by := "another process has worked in it meanwhile"
	if l.By != nil {
		by = l.By.Error()
	}
	return fmt.Sprintf("the run folder %q is not this process's any more: %s; network file systems give a folder away when they have not heard "+
		"of its user for a while, and so does one who removes its %s; this process ends here, and leaves the folder to the other", l.Dir, by, lockFile)
}

// Open takes the folder dir for this process before anything in it is read, and leaves it alone if it does not exist yet:
// Make does that. It is a fault if another process has it. The caller closes the folder.
//
// adopt names the files, by patterns of package path/filepath, that a run from before manifests may have written. notice
// may be nil. It gets a line where the lock names a process that may be at work on another machine: 30 seconds show that.
func Open(dir string, adopt []string, notice func(string)) (*Folder, error) {
	f := &Folder{Dir: dir, notice: notice}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f, nil
	case err == nil && !info.IsDir():
		return nil, fault.New("%q cannot be the run folder: it is %s; give another folder", dir, disk.Kind(info.Mode()))
	case err != nil:
		return nil, fault.New("the run folder %q cannot be opened: %w", dir, cause(err))
	}
	if err := f.take(); err != nil {
		return nil, err
	}
	if err := f.read(adopt); err != nil {
		f.Close()
		return nil, err
	}
	disk.Sweep(dir, func(name string) bool { return name == manifestFile || f.Owns(name) })
	return f, nil
}

func (f *Folder) take() (err error) {
	f.lock, err = disk.Acquire(filepath.Join(f.Dir, lockFile), func(owner *disk.Held, t time.Duration) {
		if f.notice != nil {
			f.notice(fmt.Sprintf("the run folder %q names process %d on %q as its user: it has %v to show a sign of life", f.Dir, owner.PID, owner.Host, t))
		}
	})
	if held, ok := errors.AsType[*disk.Held](err); ok {
		return fault.New("the run folder %q is in use: %w; wait for it, stop it, or give another folder", f.Dir, held)
	}
	if err != nil {
		return fault.New("the run folder %q cannot be locked: %w", f.Dir, cause(err))
	}
	return nil
}

func (f *Folder) read(adopt []string) error {
	text, err := disk.ReadFile(f.Path(manifestFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f.adopt(adopt)
	case err != nil:
		return fault.New("%q cannot be read: %w", f.Path(manifestFile), cause(err))
	}
	f.saw = text
	if err := json.Unmarshal(text, &f.manifest); err != nil {
		return fault.New("%q cannot be read: %w; without it, what the run has written is told by its names", f.Path(manifestFile), err)
	}
	foreign := func(name string) bool {
		return !filepath.IsLocal(name) || Reserved(name) || name != path.Clean(name) // one file has one name
	}
	f.manifest.Files = slices.DeleteFunc(f.manifest.Files, foreign)
	f.manifest.Runs = slices.DeleteFunc(f.manifest.Runs, foreign)
	return nil
}

// adopt takes the files of a run from before there were manifests for the run's own.
func (f *Folder) adopt(patterns []string) error {
	for _, pattern := range patterns {
		found, err := filepath.Glob(filepath.Join(escape(f.Dir), pattern))
		if err != nil {
			return err
		}
		for _, path := range found {
			name, err := filepath.Rel(f.Dir, path)
			if err != nil {
				return err
			}
			f.manifest.Files = append(f.manifest.Files, filepath.ToSlash(name))
		}
	}
	return nil
}

// escape keeps Glob from reading a folder's name as a pattern.
func escape(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

// Make makes the folder where Open found none, and takes it.
func (f *Folder) Make() error {
	if f.lock != nil {
		return nil
	}
	if err := disk.MkdirAll(f.Dir); err != nil {
		return fault.New("the run folder %q cannot be made: %w", f.Dir, cause(err))
	}
	if err := f.take(); err != nil {
		return err
	}
	return f.read(nil)
}

// New makes a folder of its own and takes it: base, or base-2, base-3, … where that is there already, whoever made it.
func New(base string) (*Folder, error) {
	if err := disk.MkdirAll(filepath.Dir(base)); err != nil {
		return nil, fault.New("the folder of runs cannot be made: %w", err)
	}
	dir := base
	for n := 2; ; n++ {
		err := disk.Mkdir(dir)
		if err == nil {
			f := &Folder{Dir: dir}
			return f, f.take()
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, fault.New("the run folder cannot be made: %w", err)
		}
		dir = base + "-" + strconv.Itoa(n)
	}
}

// Check is a fault with a *[Lost] in its chain where another process has taken the folder over, as can happen by a network or
// when somebody removes the lock. Whoever writes in the folder asks before, and whoever works long in it now and then.
func (f *Folder) Check() error {
	if f.lock == nil {
		return nil
	}
	err := f.lock.Check()
	if errors.Is(err, fs.ErrNotExist) {
		return f.retake()
	}
	if held, ok := errors.AsType[*disk.Held](err); ok {
		return f.lost(held)
	}
	return err
}

func (f *Folder) lost(by *disk.Held) error { return fault.New("%w", &Lost{f.Dir, by}) }

// retake locks a folder anew whose lock was removed. Whoever has worked in it meanwhile has changed its manifest.
func (f *Folder) retake() error {
	lock, err := disk.Acquire(filepath.Join(f.Dir, lockFile), nil)
	if held, ok := errors.AsType[*disk.Held](err); ok {
		return f.lost(held)
	}
	if err != nil {
		return nil // the folder is gone or cannot be written: what is to be written says so
	}
	if text, err := disk.ReadFile(f.Path(manifestFile)); err == nil && !bytes.Equal(text, f.saw) {
		_ = lock.Release()
		return f.lost(nil)
	}
	err = f.lock.Release()
	f.lock = lock
	return err
}

// User returns the process that works in the folder dir, nil where none does.
func User(dir string) *disk.Held { return disk.OwnerOf(filepath.Join(dir, lockFile)) }

// Path returns the place of a file in the folder.
func (f *Folder) Path(name string) string { return filepath.Join(f.Dir, filepath.FromSlash(name)) }

// Has reports whether a file of the run's own is there.
func (f *Folder) Has(name string) bool {
	_, err := os.Stat(f.Path(name))
	return err == nil && f.Owns(name)
}

// Owns reports whether the run has written a file of this name, or was about to.
func (f *Folder) Owns(name string) bool {
	return slices.Contains(f.manifest.Files, filepath.ToSlash(name))
}

// Start returns how the run was begun; it is nil if the folder does not say.
func (f *Folder) Start() *Start { return f.manifest.Start }

// Wrote reports whether the folder dir is that of a run that has written a file of this name. It takes no lock: the run may be
// at work.
func Wrote(dir, name string) bool {
	var m manifest
	text, err := disk.ReadFile(filepath.Join(dir, manifestFile))
	return err == nil && json.Unmarshal(text, &m) == nil && slices.Contains(m.Files, name)
}

// Owner returns the folder whose run, comparison or study has written the file at path, also in a folder below; "" if there is none.
func Owner(path string) string {
	whole, err := filepath.Abs(path)
	if err != nil {
		return ""
	}
	for dir := filepath.Dir(whole); ; dir = filepath.Dir(dir) {
		name, err := filepath.Rel(dir, whole)
		if err == nil && (Reserved(name) && holdsManifest(dir) || Wrote(dir, filepath.ToSlash(name))) {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

func holdsManifest(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, manifestFile))
	return err == nil
}

// Reserved reports whether a file in a run folder is this package's own, whatever the run.
func Reserved(name string) bool { return name == manifestFile || name == lockFile }

// Runs lists the folders of runs within this one that SetRuns has named.
func (f *Folder) Runs() []string { return f.manifest.Runs }

// SetRuns writes down the folders of runs within this one.
func (f *Folder) SetRuns(names []string) error {
	f.manifest.Runs = names
	return f.write()
}

// Begin writes down how a run is begun.
func (f *Folder) Begin(s Start) error {
	f.manifest.Start = &s
	return f.write()
}

// Claim makes files the run's own before they are first written, so that a killed run leaves none that it does not know.
// A file that lies there and is not the run's is a fault, and so is a folder that is not this process's any more: see Check.
func (f *Folder) Claim(names ...string) error {
	if err := f.Check(); err != nil {
		return err
	}
	before := len(f.manifest.Files)
	for _, name := range names {
		if f.Owns(name) {
			continue
		}
		if _, err := os.Lstat(f.Path(name)); err == nil {
			f.manifest.Files = f.manifest.Files[:before]
			return fault.New("%q is there and is not this run's: move it away, or give another folder", f.Path(name))
		}
		f.manifest.Files = append(f.manifest.Files, filepath.ToSlash(name))
	}
	if len(f.manifest.Files) == before {
		return nil
	}
	if err := f.write(); err != nil {
		f.manifest.Files = f.manifest.Files[:before]
		return err
	}
	return nil
}

// Adopt makes a file the run's own that it has made itself, under a name that nobody had.
func (f *Folder) Adopt(name string) error {
	f.manifest.Files = append(f.manifest.Files, name)
	return f.write()
}

// Remove removes files of the run's own; those that are not it leaves alone.
func (f *Folder) Remove(names ...string) error {
	if err := f.Check(); err != nil {
		return err
	}
	removed := false
	for _, name := range names {
		if !f.Owns(name) {
			continue
		}
		if err := disk.Remove(f.Path(name)); err != nil {
			return fault.New("%q cannot be removed: %w", f.Path(name), cause(err))
		}
		f.manifest.Files = slices.DeleteFunc(f.manifest.Files, func(have string) bool { return have == filepath.ToSlash(name) })
		removed = true
	}
	if !removed {
		return nil
	}
	return f.write()
}

// Clear removes all files of the run's own but some. That the run is given up is written down first: where this is cut short,
// what is left tells of no run that could go on.
func (f *Folder) Clear(keep ...string) error {
	if f.manifest.Start != nil {
		f.manifest.Start = nil
		if err := f.write(); err != nil {
			return err
		}
	}
	return f.Remove(slices.DeleteFunc(slices.Clone(f.manifest.Files), func(name string) bool { return slices.Contains(keep, name) })...)
}

// Files lists the run's own files that match a pattern.
func (f *Folder) Files(pattern string) []string {
	var found []string
	for _, name := range f.manifest.Files {
		if ok, _ := filepath.Match(pattern, name); ok {
			found = append(found, name)
		}
	}
	return found
}

// Bytes is the size of the run's own files together.
func (f *Folder) Bytes() (sum int64) {
	for _, name := range f.manifest.Files {
		if info, err := os.Lstat(f.Path(name)); err == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
	}
	return sum
}

func (f *Folder) write() error {
	if err := f.Check(); err != nil {
		return err
	}
	text, err := json.MarshalIndent(f.manifest, "", "  ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if err := disk.WriteFile(f.Path(manifestFile), text); err != nil {
		return f.Failed(manifestFile, err)
	}
	f.saw = text
	return nil
}

// Failed words the failure to write a file of the folder.
func (f *Folder) Failed(name string, err error) error {
	if _, gone := os.Stat(f.Dir); errors.Is(gone, fs.ErrNotExist) {
		return fault.New("the run folder %q is gone: it was moved or deleted while the run worked in it", f.Dir)
	}
	return fault.New("%q cannot be written: %w", f.Path(name), cause(err))
}

// Close gives the folder back.
func (f *Folder) Close() error {
	if f.lock == nil {
		return nil
	}
	err := f.lock.Release()
	f.lock = nil
	if err != nil {
		if _, gone := os.Stat(f.Dir); errors.Is(gone, fs.ErrNotExist) {
			return nil
		}
	}
	return err
}

func cause(err error) error {
	c, _ := disk.Cause(err)
	return c
}
