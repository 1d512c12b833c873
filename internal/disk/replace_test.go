package disk_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/disk/disktest"
)

// write puts content at path in pieces, so that a write can fail between them.
func write(path, content string) error {
	return disk.Replace(path, func(w io.Writer) error {
		for piece := range strings.SplitAfterSeq(content, " ") {
			if _, err := io.WriteString(w, piece); err != nil {
				return err
			}
		}
		return nil
	})
}

const earlier, later = "what was there", "what comes in its place"

// Whichever call fails, and however far a write gets, the file is the earlier one or the later one, whole, and no temporary
// file is left unless removing it fails, too.
func TestReplaceUnderFaults(t *testing.T) {
	for _, err := range []error{syscall.ENOSPC, syscall.EIO, syscall.EDQUOT, syscall.EROFS} {
		for written := range 3 {
			failed := true
			for n := 0; failed; n++ {
				failed = false
				dir := t.TempDir()
				path := filepath.Join(dir, "file")
				if err := write(path, earlier); err != nil {
					t.Fatal(err)
				}
				calls := 0
				unmount := disk.Mount(dir, &disktest.Faulty{Fail: func(op disktest.Op) (int, error) {
					if calls++; calls == n+1 {
						failed = true
						return written, err
					}
					return 0, nil
				}})
				got := write(path, later)
				unmount()
				if failed != (got != nil) || failed && !errors.Is(got, err) {
					t.Fatalf("call %d fails with %v: got %v", n, err, got)
				}
				content, _ := os.ReadFile(path)
				if c := string(content); c != earlier && c != later || !failed && c != later {
					t.Errorf("call %d fails with %v: the file holds %q", n, err, c)
				}
				if left, _ := os.ReadDir(dir); len(left) != 1 {
					t.Errorf("call %d fails with %v: the folder holds %v", n, err, left)
				}
			}
		}
	}
}

// Whenever power is lost, the file is whole; once Replace has returned, it is the later one.
func TestReplaceOutlastsLossOfPower(t *testing.T) {
	for n := 0; ; n++ {
		dir := filepath.Join(t.TempDir(), "run")
		path := filepath.Join(dir, "file")
		if err := errors.Join(os.Mkdir(dir, 0o755), write(path, earlier)); err != nil {
			t.Fatal(err)
		}
		p := disktest.NewPower(dir, n)
		unmount := disk.Mount(dir, p)
		err := write(path, later)
		unmount()
		found := filepath.Join(t.TempDir(), "found")
		if err := p.Found(dir, found); err != nil {
			t.Fatal(err)
		}
		content, _ := os.ReadFile(filepath.Join(found, "file"))
		if c := string(content); c != later && (err == nil || c != earlier) {
			t.Errorf("power lost in front of call %d (%v): the file holds %q", n, err, c)
		}
		if err == nil {
			t.Logf("%d calls", n)
			return
		}
	}
}

func TestOpenRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(pipe, link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		pipe: "a named pipe", link: "a named pipe", dir: "a folder", "/dev/null": "a device", "/dev/zero": "a device",
	} {
		if _, err := disk.Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%s): %v, want %q", path, err, want)
		}
	}
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{
		".last.safetensors123", ".state-30.safetensors9", ".config.yaml77", // ours, and their writers are gone
		".other123", ".last.safetensors", "last.safetensors", ".last.safetensors12x", ".lock", "last.safetensors123",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	disk.Sweep(dir, func(name string) bool {
		return name == "last.safetensors" || name == "state-30.safetensors" || name == "config.yaml"
	})
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 6 {
		t.Errorf("left are %v (%v), want the 6 that are not ours", left, err)
	}
}

func TestAcquire(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".lock")
	first, err := disk.Acquire(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = disk.Acquire(path, nil)
	held, ok := errors.AsType[*disk.Held](err)
	if !ok || held.PID != os.Getpid() || held.Host == "" {
		t.Errorf("the second gets %v, want the name of the first", err)
	}
	if err := first.Release(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the lock's file is left")
	}
	for _, stale := range []string{"", "host 999999999\n", "elsewhere 1\n", "\x00\x00\x00"} { // flock says that their owners are gone
		if err := os.WriteFile(path, []byte(stale), 0o644); err != nil {
			t.Fatal(err)
		}
		again, err := disk.Acquire(path, nil)
		if err != nil {
			t.Errorf("a file %q left by a dead owner: %v", stale, err)
			continue
		}
		again.Release()
	}
}

// What the system says of a limit tells nobody which one it is.
func TestCauseNamesTheLimit(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		syscall.EFBIG: "ulimit -f", syscall.EMFILE: "ulimit -n", syscall.ENFILE: "machine", syscall.ENOSPC: "no space left on device",
	} {
		cause, ok := disk.Cause(&os.PathError{Op: "write", Path: "/tmp/x", Err: errno})
		if !ok || !errors.Is(cause, errno) || !strings.Contains(cause.Error(), want) || strings.Contains(cause.Error(), "/tmp/x") {
			t.Errorf("%v is told as %q", errno, cause)
		}
	}
}
