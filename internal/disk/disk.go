// Package disk is the one way by which Locus opens files that a user names, and by which its runs read and write: whole files that are replaced or left as they
// were, logs that only grow, locks. All of it goes through the small interface FS, which is the operating system's except
// where a test has mounted another one: disktest makes any call fail, and loses power.
package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// FS is what a run asks of a file system. Paths are those of package os, and so are flags and errors.
type FS interface {
	OpenFile(path string, flag int, perm fs.FileMode) (File, error)
	Mkdir(path string, perm fs.FileMode) error // must not exist
	Rename(from, to string) error
	Link(from, to string) error
	Remove(path string) error
	SyncDir(path string) error // makes what was created, renamed and removed in a folder outlast a loss of power
}

// File is an open file.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.Closer
	Stat() (fs.FileInfo, error)
	Sync() error
	Truncate(size int64) error
}

// system is the operating system's file system.
type system struct{}

// System is the operating system's file system, for those who wrap it.
var System FS = system{}

func (system) OpenFile(path string, flag int, perm fs.FileMode) (File, error) {
	f, err := os.OpenFile(path, flag, perm)
	if err != nil {
		return nil, err
	}
	return f, nil
}
func (system) Mkdir(path string, perm fs.FileMode) error { return os.Mkdir(path, perm) }
func (system) Rename(from, to string) error              { return os.Rename(from, to) }
func (system) Link(from, to string) error                { return os.Link(from, to) }
func (system) Remove(path string) error                  { return os.Remove(path) }
func (system) SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

var (
	mounting sync.RWMutex
	mounts   = map[string]FS{}
)

// Mount lets f serve all files below dir until unmount is called. It is for tests: f must keep what it holds where the
// operating system finds it, since folders are listed there.
func Mount(dir string, f FS) (unmount func()) {
	mounting.Lock()
	defer mounting.Unlock()
	mounts[filepath.Clean(dir)] = f
	return func() {
		mounting.Lock()
		defer mounting.Unlock()
		delete(mounts, filepath.Clean(dir))
	}
}

// at returns the file system that serves path.
func at(path string) FS {
	mounting.RLock()
	defer mounting.RUnlock()
	for dir, f := range mounts {
		if path == dir || strings.HasPrefix(path, dir+string(filepath.Separator)) {
			return f
		}
	}
	return System
}

// Open opens a regular file for reading. Anything else, such as a folder, a named pipe or a device, is an error that says
// what it is: opening a pipe would wait until somebody writes to it.
func Open(path string) (File, error) {
	f, _, err := OpenSized(path)
	return f, err
}

// OpenSized is [Open], and tells how many bytes the file has.
func OpenSized(path string) (f File, size int64, err error) {
	if f, err = at(path).OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0); err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("it is %s, not a file", Kind(info.Mode()))}
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// Kind says in words what something is.
func Kind(mode fs.FileMode) string {
	switch {
	case mode.IsRegular():
		return "a file"
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&(fs.ModeDevice|fs.ModeCharDevice) != 0:
		return "a device"
	}
	return "something else"
}

// MostWhole is the size in bytes above which ReadFile refuses a file: it is for texts, which come nowhere near.
const MostWhole = 64 << 20

// ReadFile reads a whole regular file of at most MostWhole bytes.
func ReadFile(path string) ([]byte, error) { return ReadSmall(path, MostWhole) }

// ReadSmall reads a whole regular file of at most so many bytes, and no more of a larger one.
func ReadSmall(path string, most int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(content)) > most {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it is too large: must have at most %d bytes", most)}
	}
	if err != nil {
		return nil, err
	}
	return content, nil
}

// Append opens a file to write behind its end; a new one may be read by all. With fresh it must not exist.
func Append(path string, fresh bool) (File, error) {
	flag := os.O_CREATE | os.O_APPEND | os.O_WRONLY
	if fresh {
		flag |= os.O_EXCL
	}
	return at(path).OpenFile(path, flag, 0o644)
}

// Mkdir makes one folder, which must not exist, and makes that last.
func Mkdir(path string) error {
	if err := at(path).Mkdir(path, 0o755); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// MkdirAll makes a folder and those above it that are missing, and makes that last.
func MkdirAll(path string) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.IsDir():
		return &fs.PathError{Op: "mkdir", Path: path, Err: syscall.ENOTDIR}
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if parent := filepath.Dir(path); parent != path {
		if err := MkdirAll(parent); err != nil {
			return err
		}
	}
	if err := Mkdir(path); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil // by somebody else, just now
}

// Link gives a file a second name, which must not exist.
func Link(from, to string) error { return at(to).Link(from, to) }

// Rename moves a file within its folder, over what has the new name.
func Rename(from, to string) error { return at(to).Rename(from, to) }

// Remove removes a file or an empty folder. What is not there is removed already.
func Remove(path string) error {
	if err := at(path).Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// SyncDir makes what was created, renamed and removed in a folder outlast a loss of power. Some network file systems
// cannot, and need not be asked.
func SyncDir(path string) error {
	err := at(path).SyncDir(path)
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}

// Free returns how many bytes an ordinary user can still write into the folder at path, or into the first one above it that is
// there. The second result is false where the system does not tell.
func Free(path string) (bytes int64, told bool) {
	path, err := filepath.Abs(path)
	if err != nil {
		return 0, false
	}
	for {
		var s syscall.Statfs_t
		switch err := syscall.Statfs(path, &s); {
		case err == nil && s.Blocks > 0:
			return int64(min(s.Bavail, math.MaxInt64/uint64(max(1, s.Bsize)))) * max(1, s.Bsize), true
		case err == nil || !errors.Is(err, fs.ErrNotExist) || path == filepath.Dir(path):
			return 0, false
		}
		path = filepath.Dir(path)
	}
}

// Cause finds what the operating system said, without the name of the file that it said it of: that may be a temporary
// one, which tells a user nothing.
func Cause(err error) (cause error, ok bool) {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return advised(e.Err), true
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return advised(e.Err), true
	}
	return err, false
}

// advised adds what is in the way where the system's words do not say it.
func advised(err error) error {
	for errno, why := range map[syscall.Errno]string{
		syscall.EFBIG:  "the shell's limit (ulimit -f) or the file system allows no larger one",
		syscall.EMFILE: "raise the shell's limit (ulimit -n)",
		syscall.ENFILE: "the whole machine has as many open as it may",
	} {
		if errors.Is(err, errno) {
			return fmt.Errorf("%w: %s", err, why)
		}
	}
	return err
}
