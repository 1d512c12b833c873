package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Some network file systems give the same flock to two machines. Then the owner's signs in the file decide.
func TestAcquireWithoutSharedLocks(t *testing.T) {
	const beat, silence = 20 * time.Millisecond, 600 * time.Millisecond
	network := func(*os.File) bool { return false }
	owned := func(t *testing.T, text string) string {
		path := filepath.Join(t.TempDir(), ".lock")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	here, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		owner string
		asked bool // how long it takes to see that the owner is gone
	}{
		"of another machine, killed": {"elsewhere 7 000000003\n", true},
		"of an earlier program":      {"elsewhere 7\n", true},
		"number in use again":        {fmt.Sprintf("%s %d 000000003\n", here, os.Getppid()), true},
		"dead":                       {here + " 999999999 000000003\n", false},
		"empty":                      {"", false},
		"no owner's":                 {"\x00\x00\x00", false},
	} {
		t.Run(name, func(t *testing.T) {
			asked := false
			l, err := acquire(owned(t, tt.owner), network, beat, silence, func(*Held, time.Duration) { asked = true })
			if err != nil || asked != tt.asked {
				t.Fatalf("got %v, waited %v, want the lock, and to wait %v", err, asked, tt.asked)
			}
			if err := l.Release(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("of another machine, at work", func(t *testing.T) {
		path := owned(t, "elsewhere 7 000000001\n")
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for n := 2; ; n++ {
				select {
				case <-time.After(beat):
					_ = os.WriteFile(path, fmt.Appendf(nil, "elsewhere 7 %09d\n", n), 0o644)
				case <-stop:
					return
				}
			}
		}()
		_, err := acquire(path, network, beat, silence, nil)
		close(stop)
		<-done
		if held, ok := errors.AsType[*Held](err); !ok || held.Host != "elsewhere" || held.PID != 7 {
			t.Errorf("got %v, want that process 7 on elsewhere has it", err)
		}
	})
	t.Run("signs until it is released", func(t *testing.T) {
		path := owned(t, "a longer name of an earlier owner 7\n")
		l, err := acquire(path, network, beat, silence, nil)
		if err != nil {
			t.Fatal(err)
		}
		if owner := signs(path, 10*time.Second); owner == nil || owner.PID != os.Getpid() || owner.Host != here {
			t.Errorf("the file tells of %v, want this process", owner)
		}
		if err := l.Release(); err != nil {
			t.Error(err)
		}
		if owner := signs(path, 5*beat); owner != nil {
			t.Errorf("after its release %v signs", owner)
		}
	})
}

// A network file system takes a lock from a machine that it has not heard of for a while, and gives it to another one.
func TestALockThatIsLost(t *testing.T) {
	const beat, silence = 10 * time.Millisecond, time.Second
	const other = "elsewhere 7 000000001 0badf00d\n"
	write := func(path, text string) error { return os.WriteFile(path, []byte(text), 0o644) }
	for name, tt := range map[string]struct {
		change func(path string) error
		by     string // who has it then; "" for nobody
		gone   bool
	}{
		"nothing happens":     {change: func(string) error { return nil }},
		"the file is removed": {change: os.Remove, gone: true},
		"another process signs the file": {by: "elsewhere",
			change: func(path string) error { return write(path, other) }},
		"the file is another one": {by: "elsewhere",
			change: func(path string) error { return errors.Join(os.Remove(path), write(path, other)) }},
		"another process is about to sign": {by: "its name comes later",
			change: func(path string) error { return errors.Join(os.Remove(path), write(path, "")) }},
		"a process of this number in another container": {by: hostname(t),
			change: func(path string) error {
				return write(path, fmt.Sprintf("%s %d 000000001 0badf00d\n", hostname(t), os.Getpid()))
			}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), ".lock")
			l, err := acquire(path, func(*os.File) bool { return true }, beat, silence, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := tt.change(path); err != nil {
				t.Fatal(err)
			}
			changed, _ := os.ReadFile(path)
			time.Sleep(5 * beat)
			err = l.Check()
			held, taken := errors.AsType[*Held](err)
			if gone := errors.Is(err, os.ErrNotExist); gone != tt.gone || taken != (tt.by != "") || err != nil && !gone && !taken {
				t.Fatalf("Check() = %v, want it taken by %q, gone %v", err, tt.by, tt.gone)
			}
			if taken && held.Host != tt.by && held.Host != "" {
				t.Errorf("Check() names %q, want %q", held.Host, tt.by)
			}
			if err := l.Release(); err != nil {
				t.Error(err)
			}
			if kept, err := os.ReadFile(path); taken && (err != nil || string(kept) != string(changed)) {
				t.Errorf("the file of the other process is %q, %v, want %q as it was", kept, err, changed)
			} else if !taken && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the file is still there: %q", kept)
			}
		})
	}
}

// Where a full disk lets nobody sign, the lock is the process's all the same.
func TestALockWithoutASign(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".lock")
	l, err := acquire(path, func(*os.File) bool { return true }, time.Hour, time.Second, nil)
	if err != nil {
		t.Fatal(err)
	}
	l.before = []byte("elsewhere 7 000000009 0badf00d\n") // as if its own sign had not found room
	if err := os.WriteFile(path, l.before, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := l.Check(); err != nil {
		t.Errorf("Check() = %v, want that the lock is held", err)
	}
	if err := l.Release(); err != nil {
		t.Error(err)
	}
}

func hostname(t *testing.T) string {
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return name
}
