package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
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

// An owner signs its lock's file anew every beat. One on another machine, or in another container, that has not done so
// for a silence is gone: sshfs shows a file as it was up to 20 seconds ago.
const (
	beat    = 5 * time.Second
	silence = 30 * time.Second
)

// Lock is a lock on a folder or whatever else its file stands for, held until Release. It ends with the process, too.
type Lock struct {
	path   string
	mark   string        // tells this lock's signs from those of any other
	before []byte        // what the file said when the lock was taken
	far    bool          // others may come to it by a network
	stop   chan struct{} // closed by Release
	done   chan struct{} // closed when nobody signs any more

	mu sync.Mutex // of f, of which Check reads what a beat writes
	f  *os.File
}

// Acquire takes the lock whose file is at path, made if need be, and writes host and process into it. A *Held is the
// error where another process has it.
//
// It is flock, which Linux's NFS and most cluster file systems pass on to other hosts. Some keep it to each host or have
// none, such as sshfs. So the owner also signs the file every 5 seconds. On a file system that is not known to be this
// machine's own, an owner that may live gets 30 seconds to sign. Before that wait, which may be nil, is called with it.
func Acquire(path string, wait func(*Held, time.Duration)) (*Lock, error) {
	return acquire(path, local, beat, silence, wait)
}

func acquire(path string, local func(*os.File) bool, beat, silence time.Duration, wait func(*Held, time.Duration)) (*Lock, error) {
	for {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			return nil, err
		}
		if errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK) {
			owner := readOwner(f)
			f.Close()
			return nil, owner
		}
		if owner := readOwner(f); !local(f) && owner.lives() {
			if wait != nil {
				wait(owner, silence)
			}
			if owner = signs(path, silence); owner != nil {
				f.Close()
				return nil, owner
			}
		}
		if !same(f, path) { // its owner removed it between our opening and our locking it
			f.Close()
			continue
		}
		l := &Lock{
			path: path, f: f, far: !local(f), mark: fmt.Sprintf("%08x", rand.Uint32()), before: readSign(f),
			stop: make(chan struct{}), done: make(chan struct{}),
		}
		if err := l.sign(0); err != nil {
			f.Close()
			return nil, err
		}
		go l.keepSigning(beat)
		return l, nil
	}
}

// Check returns an error where the lock is lost: a *Held if another process has it by now, fs.ErrNotExist if its file is
// gone. Network file systems take locks from a machine that they have not heard of for a while, 90 seconds with NFS.
// Where they have no locks, a process that was suspended loses its own to one that waited for its signs.
//
// A file that cannot be read tells nothing: Check returns nil.
func (l *Lock) Check() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.check()
}

func (l *Lock) check() error {
	f, err := os.Open(l.path) // anew: network file systems ask their server then
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil {
		return nil
	}
	defer f.Close()
	text := readSign(f)
	if bytes.Contains(text, []byte(l.mark)) || l.before != nil && bytes.Equal(text, l.before) {
		return nil
	}
	return parseOwner(text)
}

// Release removes the file and frees the lock, in this order: whoever has opened it meanwhile sees that it is gone. The
// file of a process that has taken the lock over stays.
func (l *Lock) Release() error {
	close(l.stop)
	<-l.done
	if l.Check() != nil {
		return l.f.Close()
	}
	return errors.Join(Remove(l.path), l.f.Close())
}

// keepSigning writes to the file until Release, unless another process does. A failure is harmless where flock works, and
// there is nobody to tell.
func (l *Lock) keepSigning(beat time.Duration) {
	defer close(l.done)
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-tick.C:
			l.mu.Lock()
			if l.check() == nil {
				_ = l.sign(n)
			}
			l.mu.Unlock()
		case <-l.stop:
			return
		}
	}
}

// local reports whether a file lies in a file system of this machine's own, where flock is believed.
func local(f *os.File) bool {
	var stat unix.Statfs_t
	if unix.Fstatfs(int(f.Fd()), &stat) != nil {
		return false
	}
	switch int64(stat.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.TMPFS_MAGIC,
		unix.OVERLAYFS_SUPER_MAGIC, unix.BCACHEFS_SUPER_MAGIC, zfsMagic:
		return true
	}
	return false
}

// zfsMagic is what OpenZFS answers to statfs; the kernel's headers do not have it.
const zfsMagic = 0x2fc12fc1

// signs returns the owner that writes to the file at path within a time, nil where nobody does. The file is opened each
// time, since network file systems ask their server then. It may be seen half written: then the owner is named later, if ever.
func signs(path string, within time.Duration) (owner *Held) {
	first, err := os.ReadFile(path)
	for end := time.Now().Add(within); err == nil && time.Now().Before(end); {
		time.Sleep(within / 30)
		var now []byte
		if now, err = os.ReadFile(path); err == nil && !bytes.Equal(now, first) {
			if owner = parseOwner(now); owner.Host != "" {
				break
			}
		}
	}
	return owner
}

func same(f *os.File, path string) bool {
	a, err1 := f.Stat()
	b, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}

// sign writes who holds the lock and how often that has been said, always in as many bytes.
func (l *Lock) sign(n int) error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	text := fmt.Appendf(nil, "%s %d %09d %s\n", host, os.Getpid(), n, l.mark)
	_, err = l.f.WriteAt(text, 0)
	if err == nil && l.before != nil {
		err = l.f.Truncate(int64(len(text)))
	}
	if err == nil && l.far { // so that others read it now
		err = l.f.Sync()
	}
	if err == nil {
		l.before = nil
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return nil // the name of the owner is a courtesy; the lock holds
	}
	return err
}

func readOwner(f *os.File) *Held { return parseOwner(readSign(f)) }

func readSign(f *os.File) []byte {
	text := make([]byte, 300)
	n, _ := io.ReadFull(io.NewSectionReader(f, 0, int64(len(text))), text)
	return text[:n]
}

func parseOwner(text []byte) *Held {
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return &Held{}
	}
	id, err := strconv.Atoi(fields[1])
	if err != nil {
		return &Held{}
	}
	return &Held{Host: fields[0], PID: id}
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
