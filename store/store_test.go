package store_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/store"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// module returns the first module of a small residual network: convolutions, statistics, counters and momenta.
func module(t *testing.T) *local.Module {
	t.Helper()
	net, err := zoo.New(zoo.Options{Name: "resnet32", Depth: 8, Width: 4}, nn.Shape{C: 3, H: 8, W: 8}, 4, nn.Init{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	m := local.NewModule(1, true, net.Blocks, net.Classifier, nil, func(params []*nn.Param) optim.Optimizer {
		return optim.New(optim.Options{Name: "adamw", EMA: 0.9, Accumulate: 2}, params)
	})
	t.Cleanup(m.Free)
	return m
}

func held(m *local.Module) map[string][]byte {
	all := map[string][]byte{}
	for _, h := range m.Held() {
		all[h.Name] = h.Value.Data()
	}
	return all
}

func leave(m *local.Module) {
	for _, h := range m.Held() {
		h.Value.Leave()
	}
}

// What comes back is what left, to the byte, also by name and after a second time; while it is away it takes no memory.
func TestStoresGiveBackWhatTheyGot(t *testing.T) {
	for name, s := range map[string]local.Store{"memory": store.NewMemory(1), "disk": store.NewDisk(t.TempDir())} {
		t.Run(name, func(t *testing.T) {
			m := module(t)
			for range 3 {
				m.Params[0].Value.Increment(1)
				want, live, resting := held(m), torch.LiveBytes(), m.RestingBytes()
				if err := s.Save(m); err != nil {
					t.Fatal(err)
				}
				leave(m)
				if freed := live - torch.LiveBytes(); freed != resting || m.RestingBytes() != resting {
					t.Errorf("%d bytes are freed of %d, and %d told", freed, resting, m.RestingBytes())
				}
				s.Ahead(m)
				if err := s.Load(m); err != nil {
					t.Fatal(err)
				}
				for name, data := range want {
					read, err := s.Read(m, name, new([]byte))
					if err != nil || !bytes.Equal(held(m)[name], data) || !bytes.Equal(read, data) {
						t.Errorf("%s has come back as something else: %v", name, err)
					}
				}
				if n := torch.LiveBytes(); n != live {
					t.Errorf("%d bytes are alive, want %d", n, live)
				}
			}
		})
	}
}

// A file that is cut short, another run's, another module's, gone, or not a tensor file at all is named, with what to do.
func TestFilesThatAreNotOurs(t *testing.T) {
	dir := t.TempDir()
	m, s := module(t), store.NewDisk(dir)
	if err := s.Save(m); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, store.Names(1)[0])
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	if err := store.NewDisk(other).Save(m); err != nil {
		t.Fatal(err)
	}
	foreign, err := os.ReadFile(filepath.Join(other, store.Names(1)[0]))
	if err != nil {
		t.Fatal(err)
	}
	leave(m)
	for name, content := range map[string][]byte{
		"cut short": good[:len(good)-7], "empty": {}, "text": []byte("not a tensor file"), "another run's": foreign, "gone": nil,
	} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if content != nil {
			if err := os.WriteFile(path, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		err := s.Load(m)
		if !fault.Is(err) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "--resume") {
			t.Errorf("%s: %v", name, err)
		}
		if err := os.WriteFile(path, good, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Load(m); err != nil {
		t.Error(err)
	}
	if read, written := s.Traffic(); read != m.RestingBytes() || written < read {
		t.Errorf("%d bytes read and %d written, want %d and no fewer", read, written, m.RestingBytes())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}

// A file is never written in place: while a module is saved, the last one is whole, and stays if the save fails.
func TestSaveLeavesTheLastFileUntilTheNewOneIsWhole(t *testing.T) {
	dir := t.TempDir()
	m, s := module(t), store.NewDisk(dir)
	if err := s.Save(m); err != nil {
		t.Fatal(err)
	}
	want := held(m)
	m.Params[0].Value.Increment(1)
	if err := os.Mkdir(filepath.Join(dir, store.Names(1)[1]), 0o755); err != nil { // in the new one's way
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, store.Names(1)[1], "x"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(m); !fault.Is(err) || !strings.Contains(err.Error(), dir) {
		t.Fatal(err)
	}
	leave(m)
	if err := s.Load(m); err != nil {
		t.Fatal(err)
	}
	for name, data := range want {
		if !bytes.Equal(held(m)[name], data) {
			t.Errorf("%s is not what was saved", name)
		}
	}
}
