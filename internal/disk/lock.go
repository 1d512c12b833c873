package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Held reports that a lock is another process's.
type Held struct {
	Host string // "" where its owner has not said
	PID  int
}

func (h *Held) Error() string {
	if h.Host == "" {
		return "another process uses it"
	}
	return fmt.Sprintf("process %d on %q uses it", h.PID, h.Host)
}

// Lock is a lock on a folder or whatever else its file stands for, held until Release. It ends with the process, too.
type Lock struct {
	path string
	f    *os.File
}

// Acquire takes the lock whose file is at path, made if need be, and writes host and process into it. A *Held is the
// error where another process has it.
//
// It is flock, which Linux's NFS and most cluster file systems pass on to other hosts. Where a file system has no locks
// the owner's name in the file is believed instead: while its process lives on this host, or if it is on another one.
func Acquire(path string) (*Lock, error) {
	for {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			return nil, err
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		owner := readOwner(f)
		switch {
		case errors.Is(err, syscall.EWOULDBLOCK):
			f.Close()
			return nil, owner
		case err != nil && owner.lives():
			f.Close()
			return nil, owner
		}
		if !same(f, path) { // its owner removed it between our opening and our locking it
			f.Close()
			continue
		}
		if err := sign(f); err != nil {
			f.Close()
			return nil, err
		}
		return &Lock{path, f}, nil
	}
}

// Release removes the file and frees the lock, in this order: whoever has opened it meanwhile sees that it is gone.
func (l *Lock) Release() error {
	return errors.Join(Remove(l.path), l.f.Close())
}

func same(f *os.File, path string) bool {
	a, err1 := f.Stat()
	b, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}

func sign(f *os.File) error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt(fmt.Appendf(nil, "%s %d\n", host, os.Getpid()), 0)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return nil // the name of the owner is a courtesy; the lock holds
	}
	return err
}

func readOwner(f *os.File) *Held {
	text := make([]byte, 300)
	n, _ := io.ReadFull(io.NewSectionReader(f, 0, int64(len(text))), text)
	host, pid, _ := strings.Cut(strings.TrimSpace(string(text[:n])), " ")
	id, err := strconv.Atoi(pid)
	if err != nil {
		return &Held{}
	}
	return &Held{Host: host, PID: id}
}

// lives reports whether an owner may still be at work.
func (h *Held) lives() bool {
	here, err := os.Hostname()
	if h.Host == "" || h.PID == os.Getpid() {
		return false
	}
	return err != nil || h.Host != here || !errors.Is(syscall.Kill(h.PID, 0), syscall.ESRCH)
}

// OwnerOf returns who is at work under the lock whose file is at path, nil where nobody is. It only reads the file, so that
// whoever wants the lock meanwhile gets it.
func OwnerOf(path string) *Held {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	if owner := readOwner(f); owner.PID == os.Getpid() || owner.lives() {
		return owner
	}
	return nil
}

// Holder returns who holds the lock now, and whether anybody does. For a moment it may hold the lock itself.
func Holder(path string) (owner *Held, held bool) {
	f, err := os.Open(path)
	if err != nil {
		return &Held{}, false
	}
	defer f.Close()
	held = errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
	return readOwner(f), held
}
