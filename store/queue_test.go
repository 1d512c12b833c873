package store_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/disk/disktest"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/store"
	"github.com/locus-learn/locus/torch"
)

// signal returns features in bfloat16, labels and, for odd seeds, the gradient that comes with them.
func signal(seed uint64) local.Signal {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	draw := func(seed uint64, shape ...int64) torch.Tensor {
		x := s.Full(torch.Float32, 0, shape...)
		x.Normal(0, 1, seed)
		return s.Cast(x, torch.BFloat16).Keep()
	}
	in := local.Signal{X: draw(seed, 2, 3, 4, 5), Y: s.FromInts([]int64{int64(seed), 1}).Keep()}
	if seed%2 == 1 {
		in.Delta = draw(seed+100, 2, 3, 4, 5)
	}
	return in
}

// contents of a signal, by name; what it consists of.
func contents(in local.Signal) map[string]string {
	all := map[string]string{}
	for _, p := range in.Parts() {
		if p.Value.Defined() {
			all[p.Name] = p.Value.DType().Code() + string(p.Value.Data())
		}
	}
	return all
}

func same(t *testing.T, got, want map[string]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("a signal of %d tensors has come back with %d", len(want), len(got))
	}
	for name, data := range want {
		if got[name] != data {
			t.Errorf("%s has come back as something else", name)
		}
	}
}

// Signals come back as they were put, to the bit and in their type, read ahead or not; while they wait no tensor holds them.
func TestQueuesGiveBackWhatTheyGot(t *testing.T) {
	dir := t.TempDir()
	files := store.NewQueue(dir, torch.CPU)
	defer files.Close()
	for name, q := range map[string]local.Queue{"host": store.NewHostQueue(torch.CPU), "files": files} {
		t.Run(name, func(t *testing.T) {
			before := torch.LiveBytes()
			const places = 4
			var want [places]map[string]string
			put := func(place int, seed uint64) {
				in := signal(seed)
				want[place] = contents(in)
				if err := q.Put(place, in); err != nil {
					t.Fatal(err)
				}
				if n := torch.LiveBytes() - before; n != 0 {
					t.Errorf("%d bytes of tensors while signals wait", n)
				}
			}
			for place := range places {
				put(place, uint64(place))
			}
			for round := range 3 {
				for place := range places {
					next := (place + 1) % places
					if round == 1 {
						next = -1
					}
					out, err := q.Take(place, next)
					if err != nil {
						t.Fatal(err)
					}
					same(t, contents(out), want[place])
					out.Free()
					put(place, uint64(10*round+place))
				}
			}
			out, err := q.Take(2, -1) // not the one that was read ahead
			if err != nil {
				t.Fatal(err)
			}
			same(t, contents(out), want[2])
			out.Free()
			if err := q.Settle(); err != nil {
				t.Error(err)
			}
		})
	}
	if read, written := files.Traffic(); read == 0 || written <= read/2 {
		t.Errorf("%d bytes read and %d written", read, written)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 4 {
		t.Errorf("files %v, error %v", entries, err)
	}
}

// A file that somebody has cut short, replaced or removed is named, with what to do.
func TestSignalsThatAreNotOurs(t *testing.T) {
	foreign := func() []byte {
		dir := t.TempDir()
		q := store.NewQueue(dir, torch.CPU)
		defer q.Close()
		if err := errors.Join(q.Put(0, signal(1)), q.Settle()); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, store.QueueNames(1)[0]))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}()
	for name, content := range map[string][]byte{
		"cut short": foreign[:len(foreign)-5], "another run's": foreign, "text": bytes.Repeat([]byte("no"), 99), "gone": nil,
	} {
		dir := t.TempDir()
		q := store.NewQueue(dir, torch.CPU)
		if err := errors.Join(q.Put(0, signal(1)), q.Settle()); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, store.QueueNames(1)[0])
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if content != nil {
			if err := os.WriteFile(path, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		out, err := q.Take(0, -1)
		out.Free()
		if !fault.Is(err) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "--resume") {
			t.Errorf("%s: %v", name, err)
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What goes wrong while a signal is written behind is told by the next call, whichever it is, and no signal is lost or leaks.
func TestFullDiskBehindASignal(t *testing.T) {
	for name, next := range map[string]func(q *store.Queue) error{
		"put":    func(q *store.Queue) error { return q.Put(1, signal(2)) },
		"settle": func(q *store.Queue) error { return q.Settle() },
	} {
		dir, before := t.TempDir(), torch.LiveBytes()
		unmount := disk.Mount(dir, &disktest.Faulty{Fail: func(op disktest.Op) (int, error) {
			if op.Kind == "write" {
				return 0, syscall.ENOSPC
			}
			return 0, nil
		}})
		q := store.NewQueue(dir, torch.CPU)
		if err := q.Put(0, signal(1)); err != nil {
			t.Fatal(err)
		}
		err := next(q)
		if !fault.Is(err) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "MiB") || !strings.Contains(err.Error(), "no space left") {
			t.Errorf("%s: %v", name, err)
		}
		if n := torch.LiveBytes() - before; n != 0 {
			t.Errorf("%s: %d bytes leak", name, n)
		}
		q.Close()
		unmount()
	}
}
