package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Replace lets write fill a new file, which then takes the place of the one at path.
//
// The bytes go to a temporary file in the same folder, which is synced, renamed over path and made lasting by syncing the
// folder. When anything fails the temporary file is removed and a previous file stays as it was, except that a failure to
// sync the folder leaves the new one. A process that is killed cannot clean up: the next Replace of the same path, or
// Sweep, does it. What is there and is no regular file, such as a device, is an error. A new file may be read by all, as the umask has it; a replaced one hands on its permissions.
func Replace(path string, write func(io.Writer) error) (err error) {
	sweep(path)
	perm := fs.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		if !info.Mode().IsRegular() { // /dev/null must stay what it is
			return &fs.PathError{Op: "replace", Path: path, Err: fmt.Errorf("it is %s, not a file", Kind(info.Mode()))}
		}
		perm = info.Mode().Perm()
	}
	f, temporary, err := create(path, perm)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			at(path).Remove(temporary)
		}
	}()
	hold(f)
	if err = write(f); err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = Rename(temporary, path)
	}
	if err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// WriteFile replaces the file at path by content.
func WriteFile(path string, content []byte) error {
	return Replace(path, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// create makes a temporary file beside path: its name with a dot in front and a number behind.
func create(path string, perm fs.FileMode) (File, string, error) {
	for {
		name := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+strconv.FormatUint(rand.Uint64(), 10))
		f, err := at(path).OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, perm)
		if !errors.Is(err, fs.ErrExist) {
			return f, name, err
		}
	}
}

// hold tells Sweep that a file has a living writer. Where the file system has no locks, Sweep gets none either and
// removes nothing, so a failure is harmless.
func hold(f File) {
	if f, ok := f.(interface{ Fd() uintptr }); ok {
		_ = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
}

// sweep removes the temporary files of writers to path that were killed.
func sweep(path string) {
	Sweep(filepath.Dir(path), func(name string) bool { return name == filepath.Base(path) })
}

// Sweep removes from a folder the temporary files of writers that were killed, of all files whose names are ours, as far
// as the file system lets it.
func Sweep(dir string, ours func(name string) bool) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		hidden, ok := strings.CutPrefix(e.Name(), ".")
		name := strings.TrimRight(hidden, "0123456789")
		for ; ok && e.Type().IsRegular() && name != hidden; name = hidden[:len(name)+1] { // a name may end in digits itself
			if ours(name) {
				removeOrphan(filepath.Join(dir, e.Name()))
				break
			}
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
		at(path).Remove(path)
	}
}
