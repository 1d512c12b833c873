package cli

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/safetensors"
	"github.com/locus-learn/locus/torch"
)

// The engine whose weights golden.txt has.
const (
	goldenTorch = "1.13.0"
	goldenBLAS  = "OpenBLAS 0.3.21"
)

// oldest has the engine use instructions that every x86-64 processor executes alike, so that hashes hold on all of them.
var oldest = []string{"ATEN_CPU_CAPABILITY=default", "OPENBLAS_CORETYPE=Nehalem", "ONEDNN_MAX_CPU_ISA=SSE41"}

// TestBits trains one recipe a method family, each on a thread, and compares the final weights with those of commit
// 3ac7fcb, before networks, data and methods of one's own could enter: scripts/samebits.sh --golden printed their hashes
// with its program. Those of the two runs with augmentation are of 62dd0d5, since when a training image's crop depends on
// its position in the epoch: see CHANGELOG.md.
func TestBits(t *testing.T) {
	if e := torch.Describe(); e.Version != goldenTorch || !strings.HasPrefix(e.BLAS, goldenBLAS) {
		t.Skipf("the hashes are those of libtorch %s with %s, not of %s with %s", goldenTorch, goldenBLAS, e.Version, e.BLAS)
	}
	runs, golden := pairs(t, "runs.txt", ":"), pairs(t, "golden.txt", " ")
	for name, want := range golden {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			arguments := strings.Fields(runs[name])
			if len(arguments) == 0 {
				t.Fatal("runs.txt has no such run")
			}
			out := filepath.Join(t.TempDir(), "run")
			cmd := program(t, append([]string{
				"train", arguments[0], "--out", out, "--steps", "12", "--set", "threads=1", "--set", "data.limit=96",
				"--set", "data.test_limit=16", "--set", "data.batch=16", "--set", "model.depth=8", "--set", "model.width=4",
			}, arguments[1:]...)...)
			cmd.Env = append(cmd.Env, oldest...)
			if text, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			if got := hash(t, filepath.Join(out, "last.safetensors")); got != want {
				t.Errorf("the weights' hash is %s, was %s", got, want)
			}
		})
	}
}

// pairs reads lines of a name, a separator and the rest; those that begin with # are for readers.
func pairs(t *testing.T, file, separator string) map[string]string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata/bits", file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	of := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, rest, ok := strings.Cut(lines.Text(), separator); ok && name[0] != '#' {
			of[name] = strings.TrimSpace(rest)
		}
	}
	if len(of) < 10 {
		t.Fatalf("%s: %d lines", file, len(of))
	}
	return of
}

// hash is that of the tensors in a file, by name, type, shape and bytes; what describes the file may differ.
func hash(t *testing.T, path string) string {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	for _, name := range slices.Sorted(slices.Values(f.Names())) {
		info, _ := f.Info(name)
		bytes, err := f.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		shape := strings.Trim(fmt.Sprint(info.Shape), "[]")
		fmt.Fprintf(h, "%s %s %s\n", name, info.DType, shape)
		h.Write(bytes)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}
