package disktest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/locus-learn/locus/internal/disk"
)

// ErrOff is what every call meets once the power is off.
var ErrOff = errors.New("the power is off")

// Power is the operating system's file system below one folder, which remembers what would outlast a loss of power: of a
// file what was synced, of a folder the names that were there when it was last synced.
type Power struct {
	mu    sync.Mutex
	left  int // calls that change something until the power goes off; negative: it stays on
	calls int
	live  map[string]*inode            // by path, as the running system sees it
	fixed map[string]map[string]*inode // by folder and name, as they would be found
}

type inode struct {
	synced []byte
	dir    bool
}

// NewPower starts with the folder root, whose files count as synced. The power goes off in front of the call number
// left, counted from 0, that changes something; with a negative left it stays on.
func NewPower(root string, left int) *Power {
	p := &Power{left: left, live: map[string]*inode{}, fixed: map[string]map[string]*inode{}}
	filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		n := &inode{dir: d.IsDir()}
		if !n.dir {
			n.synced, _ = os.ReadFile(path)
		}
		p.live[path] = n
		p.fix(filepath.Dir(path), filepath.Base(path), n)
		return nil
	})
	return p
}

func (p *Power) fix(dir, name string, n *inode) {
	if p.fixed[dir] == nil {
		p.fixed[dir] = map[string]*inode{}
	}
	p.fixed[dir][name] = n
}

// Calls returns how many calls have changed something.
func (p *Power) Calls() int { return p.calls }

// change performs a call that changes something, unless the power is off.
func (p *Power) change(do func() error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left >= 0 && p.calls >= p.left {
		return ErrOff
	}
	p.calls++
	return do()
}

// OpenFile implements disk.FS.
func (p *Power) OpenFile(path string, flag int, perm fs.FileMode) (disk.File, error) {
	if flag&os.O_CREATE == 0 {
		return disk.System.OpenFile(path, flag, perm)
	}
	var f disk.File
	err := p.change(func() (err error) {
		if f, err = disk.System.OpenFile(path, flag, perm); err == nil && p.live[path] == nil {
			p.live[path] = &inode{}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return powered{f, p, p.live[path], path}, nil
}

// Mkdir implements disk.FS.
func (p *Power) Mkdir(path string, perm fs.FileMode) error {
	return p.change(func() error {
		err := disk.System.Mkdir(path, perm)
		if err == nil {
			p.live[path] = &inode{dir: true}
		}
		return err
	})
}

// Rename implements disk.FS.
func (p *Power) Rename(from, to string) error {
	return p.change(func() error {
		err := disk.System.Rename(from, to)
		if err == nil {
			p.live[to] = p.live[from]
			delete(p.live, from)
		}
		return err
	})
}

// Link implements disk.FS.
func (p *Power) Link(from, to string) error {
	return p.change(func() error {
		err := disk.System.Link(from, to)
		if err == nil {
			p.live[to] = p.live[from]
		}
		return err
	})
}

// Remove implements disk.FS.
func (p *Power) Remove(path string) error {
	return p.change(func() error {
		err := disk.System.Remove(path)
		if err == nil {
			delete(p.live, path)
		}
		return err
	})
}

// SyncDir implements disk.FS.
func (p *Power) SyncDir(path string) error {
	return p.change(func() error {
		p.fixed[path] = map[string]*inode{}
		for at, n := range p.live {
			if filepath.Dir(at) == path {
				p.fixed[path][filepath.Base(at)] = n
			}
		}
		return nil
	})
}

// Found puts into the folder to, which it makes, what is found of the folder root when the power is back.
func (p *Power) Found(root, to string) error {
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	for name, n := range p.fixed[root] {
		from, at := filepath.Join(root, name), filepath.Join(to, name)
		var err error
		if n.dir {
			err = p.Found(from, at)
		} else {
			err = os.WriteFile(at, n.synced, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

type powered struct {
	disk.File
	p    *Power
	n    *inode
	path string
}

func (o powered) Write(b []byte) (n int, err error) {
	err = o.p.change(func() error {
		n, err = o.File.Write(b)
		return err
	})
	return n, err
}

func (o powered) Sync() error {
	return o.p.change(func() error {
		for path, n := range o.p.live { // the file may have been renamed since
			if n == o.n {
				content, err := os.ReadFile(path)
				n.synced = content
				return err
			}
		}
		return nil
	})
}
