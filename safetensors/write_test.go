package safetensors

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
)

func TestWriteToRefuses(t *testing.T) {
	tests := []struct {
		name    string
		tensors []Tensor
		meta    map[string]string
		want    string
	}{
		{"too little data", []Tensor{{Name: "w", DType: F32, Shape: []int64{2}, Data: make([]byte, 7)}}, nil, "has 7 bytes: F32 [2] needs 8"},
		{"same name twice", []Tensor{{Name: "w", DType: U8, Shape: []int64{0}}, {Name: "w", DType: U8, Shape: []int64{0}}}, nil, `"w" is given twice`},
		{"reserved name", []Tensor{{Name: metadataKey, DType: U8, Shape: []int64{0}}}, nil, "keeps that name"},
		{"name not UTF-8", []Tensor{{Name: "\xff", DType: U8, Shape: []int64{0}}}, nil, "not valid UTF-8"},
		{"metadata not UTF-8", nil, map[string]string{"k": "\xff"}, "not valid UTF-8"},
		{"unknown dtype", []Tensor{{Name: "w", DType: "F8"}}, nil, "must be one of"},
		{"negative shape", []Tensor{{Name: "w", DType: U8, Shape: []int64{-1}}}, nil, "negative"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			err := WriteTo(&b, tt.tensors, tt.meta)
			if err == nil || fault.Is(err) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("WriteTo: %v; want an ordinary error with %q", err, tt.want)
			}
			if b.Len() != 0 {
				t.Errorf("%d bytes were written before the mistake was seen", b.Len())
			}
		})
	}
}

func TestWriteToRefusesHeaderBeyondLimit(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds under the race detector")
	}
	err := WriteTo(io.Discard, nil, map[string]string{"k": strings.Repeat("x", maxHeader)})
	if err == nil || !strings.Contains(err.Error(), "must be at most 100000000") {
		t.Error("WriteTo:", err)
	}
}

func TestLoadSharesOneBuffer(t *testing.T) {
	load := func(b byte) func(*[]byte) ([]byte, error) {
		return func(buffer *[]byte) ([]byte, error) {
			if b == 1 {
				*buffer = make([]byte, 2)
			}
			(*buffer)[0], (*buffer)[1] = b, b
			return *buffer, nil
		}
	}
	lazy := []Tensor{{Name: "a", DType: U8, Shape: []int64{2}, Load: load(1)}, {Name: "b", DType: U8, Shape: []int64{2}, Load: load(2)}}
	eager := []Tensor{{Name: "a", DType: U8, Shape: []int64{2}, Data: []byte{1, 1}}, {Name: "b", DType: U8, Shape: []int64{2}, Data: []byte{2, 2}}}
	if got, want := encode(t, lazy, nil), encode(t, eager, nil); !bytes.Equal(got, want) {
		t.Errorf("lazy %q, eager %q", got, want)
	}
}

// limited takes n bytes and then fails, as a full disk does.
type limited struct{ n int }

var errFull = errors.New("full")

func (w *limited) Write(p []byte) (int, error) {
	if len(p) > w.n {
		return w.n, errFull
	}
	w.n -= len(p)
	return len(p), nil
}

func TestWriteToReportsEveryShortWrite(t *testing.T) {
	for n := range encode(t, sample(), nil) {
		if err := WriteTo(&limited{n}, sample(), nil); !errors.Is(err, errFull) {
			t.Fatalf("the writer failed after %d bytes, WriteTo says %v", n, err)
		}
	}
}

// wantOnly fails unless path holds content and is the only file in its folder.
func wantOnly(t *testing.T, path string, content []byte) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the earlier file has changed: %d bytes, %v; want %d bytes", len(got), err, len(content))
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v (%v), want one file", entries, err)
	}
}

func TestWriteKeepsEarlierFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "last.safetensors")
	if err := Write(path, sample(), nil); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	broken := append(sample(), Tensor{Name: "z", DType: U8, Load: func(*[]byte) ([]byte, error) { return nil, io.ErrUnexpectedEOF }})
	err := Write(path, broken, nil)
	if !errors.Is(err, io.ErrUnexpectedEOF) || fault.Is(err) || !strings.Contains(err.Error(), `tensor "z"`) {
		t.Error("Write:", err)
	}
	wantOnly(t, path, encode(t, sample(), nil))

	if err := Write(path, sample()[:1], nil); err != nil {
		t.Fatal(err)
	}
	wantOnly(t, path, encode(t, sample()[:1], nil))
	if stat, err := os.Stat(path); err != nil || stat.Mode().Perm() != 0o640 {
		t.Errorf("permissions %v (%v), want those of the earlier file, 0640", stat.Mode(), err)
	}
}

func TestWriteOnFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("a small tmpfs cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	path := filepath.Join(dir, "last.safetensors")
	if err := Write(path, sample(), nil); err != nil {
		t.Fatal(err)
	}
	large := Tensor{Name: "large", DType: U8, Shape: []int64{1 << 20}, Data: make([]byte, 1<<20)}
	err := Write(path, []Tensor{large}, nil)
	if !fault.Is(err) || !errors.Is(err, syscall.ENOSPC) || strings.Count(err.Error(), dir) != 1 {
		t.Error("Write:", err)
	}
	wantOnly(t, path, encode(t, sample(), nil))
}

func TestWriteWhereNoneIsPossible(t *testing.T) {
	folder := t.TempDir()
	for _, path := range []string{filepath.Join(folder, "no", "such", "folder.safetensors"), folder} {
		if err := Write(path, sample(), nil); !fault.Is(err) || strings.Count(err.Error(), path) != 1 {
			t.Errorf("Write(%s): %v; want a fault that names it once", path, err)
		}
	}
}

// TestKilledWriter kills a process in the middle of Write: itself, started once more.
func TestKilledWriter(t *testing.T) {
	const variable = "SAFETENSORS_TEST_PATH"
	if path := os.Getenv(variable); path != "" {
		Write(path, []Tensor{{Name: "w", DType: U8, Load: func(*[]byte) ([]byte, error) {
			os.Stdout.WriteString("writing\n")
			return io.ReadAll(os.Stdin) // until killed, or until the parent is gone
		}}}, nil)
		return
	}
	path := filepath.Join(t.TempDir(), "last.safetensors")
	if err := Write(path, sample(), nil); err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestKilledWriter$")
	child.Env = append(os.Environ(), variable+"="+path)
	if _, err := child.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 1)); err != nil {
		t.Error("the child did not begin to write:", err)
	}
	// A second writer leaves the living one's file alone; once that is dead, the next one clears it away.
	if err := Write(path, sample(), nil); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 2 {
		t.Errorf("the folder holds %v (%v), want the file and the one that is being written", entries, err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	child.Wait()
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, encode(t, sample(), nil)) {
		t.Error("the kill has changed the earlier file:", err)
	}
	if err := Write(path, sample(), nil); err != nil {
		t.Fatal(err)
	}
	wantOnly(t, path, encode(t, sample(), nil))
}
