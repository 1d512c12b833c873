package dist

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/torch"
)

func TestReleasesOfNCCL(t *testing.T) {
	for code, want := range map[int]string{2604: "2.6.4", 2708: "2.7.8", 20805: "2.8.5", 21003: "2.10.3", 22803: "2.28.3"} {
		if got := releaseOf(code); got.String() != want || (got < oldest) != (code == 2604) {
			t.Errorf("%d is %v, want %s", code, got, want)
		}
	}
}

// Ranks that NCCL would leave waiting for each other, or refuse with a code, are told apart before they meet.
func TestCardsThatDoNotFit(t *testing.T) {
	fits := []card{{"a", 22803, "1", ""}, {"a", 22803, "2", ""}, {"b", 22803, "3", ""}}
	if err := fit(fits); err != nil {
		t.Error(err)
	}
	if err := fit([]card{{Host: "a"}, {Host: "a"}}); err != nil {
		t.Errorf("cards without names: %v", err)
	}
	for want, other := range map[string]card{
		"rank 0 on a has NCCL 2.28.3 and rank 3 on c has 2.27.5":    {"c", 22705, "4", ""},
		"rank 1 and rank 3 on a have the same card, which":          {"a", 22803, "2", ""},
		"rank 3 on c: NCCL, by which cards talk, cannot be loaded ": {"c", 0, "", "NCCL, by which cards talk, cannot be loaded (x)"},
	} {
		if err := fit(append(fits, other)); !fault.Is(err) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s…", err, want)
		}
	}
}

// alone is the store of one rank.
type alone map[string][]byte

func (a alone) Set(key string, value []byte) error { a[key] = value; return nil }
func (a alone) Get(key string) ([]byte, error)     { return a[key], nil }

// A rank that never comes is waited for as long as a meeting may take.
func TestNCCLsMeetingEnds(t *testing.T) {
	if !HasGloo() {
		t.Skip("built without Gloo")
	}
	library := filepath.Join(t.TempDir(), "nccl.so")
	if text, err := exec.Command("g++", "-std=c++20", "-fPIC", "-shared", "-o", library, "testdata/nccl.cpp").CombinedOutput(); err != nil {
		t.Fatalf("g++: %v\n%s", err, text)
	}
	t.Setenv(EnvNCCL, library)
	t.Setenv("STANDIN_FOLDER", filepath.Dir(library))
	made, err := joinNCCL(Place{Size: 1, Store: alone{}, Address: "127.0.0.1", Meeting: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	g := made.(*nccl)
	defer g.Close(nil)
	id, err := newIdentity(g.library)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.meet(id, 0, 2); err == nil || !strings.Contains(err.Error(), "2 ranks did not meet in NCCL within 300ms") {
		t.Errorf("error %v", err)
	}
	g.Close(errors.New("rank 1 is gone"))
	if _, err := g.meet(id, 0, 2); err == nil || err.Error() != "rank 1 is gone" {
		t.Errorf("error %v, want why the group was closed", err)
	}
}

// A group of one rank over NCCL itself, on the first card: what can be tried where there is one only.
func TestNCCLOnOneCard(t *testing.T) {
	if os.Getenv("LOCUS_TEST_DEVICE") != "cuda" {
		t.Skip("LOCUS_TEST_DEVICE is not cuda")
	}
	made, err := joinNCCL(Place{Size: 1, Store: alone{}, Address: "127.0.0.1", Device: torch.CUDA(0)})
	if err != nil {
		t.Fatal(err)
	}
	g := made.(*nccl)
	defer g.Close(nil)
	s := torch.CUDA(0).Scope(torch.NoGrad)
	defer s.Close()
	for _, dtype := range []torch.DType{torch.Float32, torch.Float64, torch.BFloat16} {
		x := s.Full(dtype, 1.5, 1<<20)
		for range 10 {
			if err := g.Sum(x).Wait(); err != nil {
				t.Fatal(err)
			}
		}
		if err := g.Broadcast(x, 0).Wait(); err != nil {
			t.Fatal(err)
		}
		if got := x.Float64s(); got[0] != 1.5 || !reflect.DeepEqual(got[:1<<19], got[1<<19:]) {
			t.Errorf("%v: %v, want 1.5", dtype, got[0])
		}
	}
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if c := g.all; c.handle == nil || g.cause != nil {
		t.Error("the communicator is gone")
	}
}
