package safetensors

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/renameio/v2"

	"github.com/locus-learn/locus/internal/fault"
)

// Write puts a whole file at path, or leaves there what there was.
//
// The bytes go to a temporary file in the same folder, which is synced, renamed over path and made lasting by syncing
// the folder. When anything fails (a full disk, an error of a Load) the temporary file is removed and a previous file
// stays as it was. A process that is killed cannot clean up: the next Write to the same path does it.
// A new file may be read by all (as the umask has it); a replaced one hands on its permissions.
//
// What the file system refuses is a fault that names path; other errors are WriteTo's.
func Write(path string, tensors []Tensor, metadata map[string]string) error {
	err := replace(path, func(f *os.File) error { return WriteTo(f, tensors, metadata) })
	if cause, ok := systemError(err); ok {
		return fault.New("%s cannot be written: %w; an earlier file is left as it was", path, cause)
	}
	if err != nil {
		return err
	}
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return fault.New("%s is written but may not outlast a loss of power: %w", path, err)
	}
	return nil
}

// systemError finds what the operating system said, without the name of the file it said it of: that may be a
// temporary one, which tells the user nothing.
func systemError(err error) (error, bool) {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err, true
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err, true
	}
	return nil, false
}

// replace lets write fill a new file, which then takes the place of the one at path.
func replace(path string, write func(*os.File) error) error {
	sweep(path)
	f, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)),
		renameio.WithPermissions(0o644), renameio.WithExistingPermissions())
	if err != nil {
		return err
	}
	defer f.Cleanup()
	// The lock tells sweep that the file has a living writer. Where the file system has no locks, sweep gets none
	// either and removes nothing, so a failure is harmless.
	_ = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err := write(f.File); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}

// sweep removes the temporary files of writers to path that were killed, as far as the file system lets it.
func sweep(path string) {
	dir, base := filepath.Dir(path), filepath.Base(path)
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		// renameio's names: a dot, the file's name, a random number.
		number, ok := strings.CutPrefix(e.Name(), "."+base)
		if ok && number != "" && strings.Trim(number, "0123456789") == "" && e.Type().IsRegular() {
			removeOrphan(filepath.Join(dir, e.Name()))
		}
	}
}

// removeOrphan removes the file at path unless a living writer holds its lock.
func removeOrphan(path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		os.Remove(path)
	}
}

// syncFolder makes a rename in dir survive a loss of power.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
