package cli

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// asProgram makes the test binary be the program: tests that kill it need a process of its own. It waits for a disk as the program
// does unless the value is impatient.
const asProgram, impatient = "LOCUS_TEST_AS_PROGRAM", "impatient"

func TestMain(m *testing.M) {
	if how := os.Getenv(asProgram); how != "" {
		if how == impatient {
			patience = 0
		}
		os.Exit(Main(os.Args[1:]))
	}
	os.Unsetenv("LOCUS_DATA")
	patience = 0
	os.Exit(m.Run())
}

type result struct {
	code     int
	out, err string
}

func locus(ctx context.Context, args ...string) result {
	var out, err bytes.Buffer
	code := run(ctx, args, &out, &err)
	return result{code, out.String(), err.String()}
}

// succeed runs a command line that must, and returns what it printed.
func succeed(t *testing.T, args ...string) string {
	t.Helper()
	r := locus(t.Context(), args...)
	if r.code != 0 {
		t.Fatalf("locus %s: exit code %d\n%s", strings.Join(args, " "), r.code, r.err)
	}
	return r.out
}

// refuse runs a command line that must end with exit code 2 and, warnings and progress aside, exactly one line, which
// has all of want.
func refuse(t *testing.T, want []string, args ...string) {
	t.Helper()
	r := locus(t.Context(), args...)
	if r.code != 2 {
		t.Fatalf("locus %s: exit code %d, want 2\n%s", strings.Join(args, " "), r.code, r.err)
	}
	lines := strings.Split(strings.TrimSuffix(r.err, "\n"), "\n")
	last := lines[len(lines)-1]
	if strings.Count("\n"+r.err, "\nlocus: ") != 1 || !strings.HasPrefix(last, "locus: ") {
		t.Errorf("locus %s: want one line of complaint, the last, got\n%s", strings.Join(args, " "), r.err)
	}
	for _, w := range want {
		if !strings.Contains(last, w) {
			t.Errorf("locus %s: want %q in\n%s", strings.Join(args, " "), w, last)
		}
	}
	t.Log(last)
}

// workbench is a folder with a tiny data set and a recipe for it: two epochs of five steps.
type workbench struct{ dir, data, recipe string }

const tiny = `threads: 1
data:
  set: cifar10
  batch: 8
  workers: 1
model:
  name: resnet32
  depth: 8
  width: 4
method:
  name: sgr
  modules: 3
head:
  width: 4
schedule:
  epochs: 2
`

func newWorkbench(t *testing.T) workbench {
	t.Helper()
	dir := t.TempDir()
	b := workbench{dir, filepath.Join(dir, "data"), filepath.Join(dir, "tiny.yaml")}
	write(t, b.recipe, []byte(tiny))
	for i := range 5 {
		write(t, filepath.Join(b.data, fmt.Sprintf("data_batch_%d.bin", i+1)), cifar(uint64(i), 8))
	}
	write(t, filepath.Join(b.data, "test_batch.bin"), cifar(9, 16))
	return b
}

// train returns the command line that trains the tiny recipe into the folder named.
func (b workbench) train(out string, more ...string) []string {
	return append([]string{"train", b.recipe, "--data", b.data, "--out", b.path(out)}, more...)
}

func (b workbench) path(name string) string { return filepath.Join(b.dir, name) }

// cifar returns n records in CIFAR-10's layout: a label byte and three planes of 32 × 32.
func cifar(seed uint64, n int) []byte {
	random := rand.New(rand.NewPCG(seed, 0))
	var b []byte
	for i := range n {
		b = append(b, byte(i%10))
		for range 3 * 32 * 32 {
			b = append(b, byte(random.Uint32()))
		}
	}
	return b
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// lines is a writer that another goroutine may read from.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) find(form string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return regexp.MustCompile(form).FindString(l.text.String())
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
