package dist_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/torch/dist"
)

// built has the stand-ins for NCCL that were compiled, by the flags.
var built = struct {
	sync.Mutex
	by     map[string]string
	folder string
}{by: map[string]string{}}

func TestMain(m *testing.M) {
	built.folder, _ = os.MkdirTemp("", "standin-")
	code := m.Run()
	os.RemoveAll(built.folder)
	os.Exit(code)
}

// standIn has NCCL be the library of testdata/nccl.cpp, compiled with some flags.
func standIn(t *testing.T, flags ...string) {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	key := strings.Join(flags, " ")
	if built.by[key] == "" {
		out := filepath.Join(built.folder, fmt.Sprintf("nccl%d.so", len(built.by)))
		args := append([]string{"-std=c++20", "-O1", "-fPIC", "-shared", "-o", out, "testdata/nccl.cpp"}, flags...)
		if text, err := exec.Command("g++", args...).CombinedOutput(); err != nil {
			t.Fatalf("g++: %v\n%s", err, text)
		}
		built.by[key] = out
	}
	t.Setenv(dist.EnvNCCL, built.by[key])
	t.Setenv("STANDIN_FOLDER", built.folder)
}

// An NCCL that cannot be used is told by every rank in one line, which says what is wrong and what to do.
func TestNCCLThatCannotBeUsed(t *testing.T) {
	for name, tt := range map[string]struct {
		flags []string
		env   [2]string
		words []string
	}{
		"missing":       {nil, [2]string{dist.EnvNCCL, "/nowhere/libnccl.so.2"}, []string{"/nowhere/libnccl.so.2", "cannot be loaded", "nvidia-nccl", "mesh.engine=gloo"}},
		"no library":    {nil, [2]string{dist.EnvNCCL, "testdata/nccl.cpp"}, []string{"cannot be loaded", "testdata/nccl.cpp"}},
		"without send":  {[]string{"-DSTANDIN_WITHOUT_SEND"}, [2]string{}, []string{"has no ncclSend"}},
		"too old":       {[]string{"-DSTANDIN_VERSION=2604"}, [2]string{}, []string{"NCCL is 2.6.4: must be 2.7.0 or newer"}},
		"without cards": {[]string{"-DSTANDIN_ON_CARDS"}, [2]string{}, []string{"mesh.engine is nccl", "must be gloo for device: cpu"}},
	} {
		t.Run(name, func(t *testing.T) {
			standIn(t, tt.flags...)
			if tt.env[0] != "" {
				t.Setenv(tt.env[0], tt.env[1])
			}
			groups, err := join(t, 2, dist.Place{Engine: dist.NCCL})
			if err == nil || strings.Count(err.Error(), "\n") != 1 || !fault.Is(err) {
				t.Fatalf("error %v, want a fault of one line on each of two ranks", err)
			}
			for _, line := range strings.Split(err.Error(), "\n") {
				for _, word := range append(tt.words, "rank 0 on ") {
					if !strings.Contains(line, word) {
						t.Errorf("%q: want %q", line, word)
					}
				}
			}
			if groups[0] != nil || groups[1] != nil {
				t.Error("a group was made")
			}
		})
	}
}

// What NCCL refuses becomes an error with its words: when ranks meet, when it is asked for a sum, and when it finds out later.
func TestNCCLsFaultsAreTold(t *testing.T) {
	standIn(t)
	t.Setenv("STANDIN_FAULT", "init")
	if _, err := join(t, 2, dist.Place{Engine: dist.NCCL}); err == nil || !strings.Contains(err.Error(), "ncclCommInitRank: unhandled system error") {
		t.Errorf("error %v", err)
	}
	for kind, want := range map[string]string{"enqueue": "ncclAllReduce: unhandled cuda error", "async": "remote process exited"} {
		t.Setenv("STANDIN_FAULT", "")
		groups, err := join(t, 2, dist.Place{Engine: dist.NCCL})
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("STANDIN_FAULT", kind)
		each(t, 2, func(rank int) error {
			s := torch.NewScope(torch.NoGrad)
			defer s.Close()
			began := time.Now()
			err := groups[rank].Sum(s.Full(torch.Float32, 1, 8)).Wait()
			engine, ok := errors.AsType[*torch.Error](err)
			if !ok || engine.Op != "sum" || !strings.Contains(err.Error(), want) || time.Since(began) > 5*time.Second {
				t.Errorf("%s: rank %d: %v after %v", kind, rank, err, time.Since(began))
			}
			groups[rank].Close(err)
			return nil
		})
	}
}

// Who waits for a rank that does not come, or in a call that never returns, returns: when the time is up, and when the group is
// closed with a cause.
func TestNCCLThatHangsIsGivenUp(t *testing.T) {
	standIn(t)
	cause := errors.New("rank 1 on host b is gone")
	for name, tt := range map[string]struct {
		fault   string
		timeout time.Duration
		want    string
	}{
		"time is up":       {"", 300 * time.Millisecond, "NCCL has not done it within 300ms"},
		"closed":           {"", time.Minute, cause.Error()},
		"stuck":            {"stuck", 300 * time.Millisecond, "NCCL has not done it within 300ms"},
		"stuck and closed": {"stuck", time.Minute, cause.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			groups, err := join(t, 2, dist.Place{Engine: dist.NCCL, Timeout: tt.timeout, Meeting: 20 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			t.Setenv("STANDIN_FAULT", tt.fault)
			s := torch.NewScope(torch.NoGrad)
			defer s.Close()
			if tt.timeout == time.Minute {
				time.AfterFunc(100*time.Millisecond, func() { groups[0].Close(cause) })
			}
			began := time.Now()
			pending := groups[0].Sum(s.Full(torch.Float32, 1, 8))
			behind := groups[0].Sum(s.Full(torch.Float32, 1, 8)) // waits for its turn
			for _, p := range []dist.Pending{pending, behind} {
				if err := p.Wait(); err == nil || !strings.Contains(err.Error(), tt.want) || time.Since(began) > 5*time.Second {
					t.Errorf("%v after %v, want %q", err, time.Since(began), tt.want)
				}
			}
			if err := groups[0].Sum(s.Full(torch.Float32, 1, 8)).Wait(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("afterwards %v, want the first error", err)
			}
			groups[1].Close(cause)
		})
	}
}

// The first parcel of a lane fails on both ranks where NCCL cannot make the way for it.
func TestNCCLsLaneFails(t *testing.T) {
	standIn(t)
	groups, err := join(t, 2, dist.Place{Engine: dist.NCCL})
	if err != nil {
		t.Fatal(err)
	}
	defer groups[1].Close(nil)
	defer groups[0].Close(nil)
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	t.Setenv("STANDIN_FAULT", "init")
	failed := make(chan error, 1)
	go func() {
		_, err := groups[1].Receive(0, 0)
		failed <- err
	}()
	err = groups[0].Send(dist.Parcel{Tensors: []torch.Tensor{s.Full(torch.Float32, 1, 3)}}, 1, 0)
	if other := <-failed; err == nil || other == nil || !strings.Contains(err.Error()+other.Error(), "unhandled system error") {
		t.Errorf("%v and %v", err, other)
	}
}

// On cards that a test may use: a group of as many ranks as there are cards does what all groups do, and two ranks on one card are
// refused in one line.
func TestNCCLOnCards(t *testing.T) {
	if os.Getenv("LOCUS_TEST_DEVICE") != "cuda" {
		t.Skip("LOCUS_TEST_DEVICE is not cuda")
	}
	cards := torch.DescribeCUDA().Cards
	if len(cards) == 0 {
		t.Fatal("there is no card")
	}
	version, err := dist.DescribeNCCL()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("NCCL %s, %d cards", version, len(cards))
	if _, err := join(t, 2, dist.Place{Device: torch.CUDA(0)}); !fault.Is(err) || !strings.Contains(err.Error(), "the same card") {
		t.Errorf("two ranks on one card: %v", err)
	}
	if len(cards) == 1 {
		t.Skip("sums and parcels between cards need two")
	}
}
