// Package disktest makes a file system fail, and loses power, for tests of what must survive both.
package disktest

import (
	"io/fs"
	"sync"

	"github.com/locus-learn/locus/internal/disk"
)

// Op is one call of a file system.
type Op struct {
	Kind string // open, mkdir, rename, link, remove, syncdir, read, write, sync, truncate
	Path string
	Size int // bytes of a write
}

// Faulty hands calls on to the operating system, but for those that Fail refuses.
type Faulty struct {
	// Fail returns how many bytes of a write go through, and the error of the call; nil lets it pass. It is called from one
	// goroutine at a time.
	Fail func(Op) (written int, err error)

	mu sync.Mutex
}

func (f *Faulty) ask(op Op) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.Fail(op)
}

func (f *Faulty) try(kind, path string, do func() error) error {
	if _, err := f.ask(Op{Kind: kind, Path: path}); err != nil {
		return &fs.PathError{Op: kind, Path: path, Err: err}
	}
	return do()
}

// OpenFile implements disk.FS.
func (f *Faulty) OpenFile(path string, flag int, perm fs.FileMode) (file disk.File, err error) {
	err = f.try("open", path, func() error {
		file, err = disk.System.OpenFile(path, flag, perm)
		return err
	})
	if err != nil {
		return nil, err
	}
	return faultyFile{file, f, path}, nil
}

// Mkdir implements disk.FS.
func (f *Faulty) Mkdir(path string, perm fs.FileMode) error {
	return f.try("mkdir", path, func() error { return disk.System.Mkdir(path, perm) })
}

// Rename implements disk.FS.
func (f *Faulty) Rename(from, to string) error {
	return f.try("rename", to, func() error { return disk.System.Rename(from, to) })
}

// Link implements disk.FS.
func (f *Faulty) Link(from, to string) error {
	return f.try("link", to, func() error { return disk.System.Link(from, to) })
}

// Remove implements disk.FS.
func (f *Faulty) Remove(path string) error {
	return f.try("remove", path, func() error { return disk.System.Remove(path) })
}

// SyncDir implements disk.FS.
func (f *Faulty) SyncDir(path string) error {
	return f.try("syncdir", path, func() error { return disk.System.SyncDir(path) })
}

type faultyFile struct {
	disk.File
	f    *Faulty
	path string
}

func (o faultyFile) Read(b []byte) (n int, err error) {
	err = o.f.try("read", o.path, func() error {
		n, err = o.File.Read(b)
		return err
	})
	return n, err
}

func (o faultyFile) ReadAt(b []byte, off int64) (n int, err error) {
	err = o.f.try("read", o.path, func() error {
		n, err = o.File.ReadAt(b, off)
		return err
	})
	return n, err
}

func (o faultyFile) Write(b []byte) (int, error) {
	n, err := o.f.ask(Op{Kind: "write", Path: o.path, Size: len(b)})
	if err == nil {
		return o.File.Write(b)
	}
	written, _ := o.File.Write(b[:min(n, len(b))])
	return written, &fs.PathError{Op: "write", Path: o.path, Err: err}
}

func (o faultyFile) Sync() error { return o.f.try("sync", o.path, o.File.Sync) }

func (o faultyFile) Truncate(size int64) error {
	return o.f.try("truncate", o.path, func() error { return o.File.Truncate(size) })
}
