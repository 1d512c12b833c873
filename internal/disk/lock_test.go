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
