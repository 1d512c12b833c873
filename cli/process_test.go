package cli

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program returns this test binary as the program, in a process of its own.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// TestKilledRunGoesOnBitForBit kills a process at random moments, whatever it is doing, and resumes until it is done.
func TestKilledRunGoesOnBitForBit(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("whole", "--steps", "20")...)
	checkpoint := b.path("killed/last.safetensors")
	kills := 0
	for done := false; !done; {
		args := b.train("killed", "--steps", "20", "--force")
		if _, err := os.Stat(checkpoint); err == nil {
			args = []string{"train", "--resume", "--out", b.path("killed"), "--data", b.data}
		}
		if done = runAndKill(t, kills, args); !done {
			kills++
		}
	}
	t.Logf("killed %d times", kills)
	if !bytes.Equal(read(t, checkpoint), read(t, b.path("whole/last.safetensors"))) {
		t.Errorf("after %d kills the run ends with other weights", kills)
	}
	left, _ := filepath.Glob(b.path("killed/state-*"))
	hidden, _ := filepath.Glob(b.path("killed/.*.safetensors*"))
	if kills == 0 || len(left)+len(hidden) != 1 {
		t.Errorf("after %d kills there are %v and %v: want one state and no temporary file", kills, left, hidden)
	}
}

// runAndKill reports whether the program came to its end. It is killed a moment after one of its first lines, the first
// time at once, so that it is killed at least once, and after six kills not again.
func runAndKill(t *testing.T, kills int, args []string) (done bool) {
	t.Helper()
	cmd := program(t, args...)
	lines, delay := 1+rand.N(5), rand.N(60*time.Millisecond)
	if kills == 0 {
		lines, delay = 1, 0
	}
	err := trigger{text: "loss", fire: func() {
		if lines--; lines == 0 && kills < 6 {
			time.AfterFunc(delay, func() { cmd.Process.Kill() })
		}
	}}
	cmd.Stderr = &err
	if cmd.Run() == nil {
		return true
	}
	if cmd.ProcessState.Exited() {
		t.Fatalf("locus %s: %v\n%s", strings.Join(args, " "), cmd.ProcessState, err.seen.String())
	}
	return false
}

func TestSignalsInterruptTheProgram(t *testing.T) {
	b := newWorkbench(t)
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		cmd := program(t, b.train("run", "--steps", "100000", "--force")...)
		err := trigger{text: "epoch 1/", fire: func() { cmd.Process.Signal(sig) }}
		cmd.Stderr = &err
		cmd.Run()
		if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.Contains(err.seen.String(), "--resume") {
			t.Errorf("%v: exit code %d, want 130\n%s", sig, code, err.seen.String())
		}
	}
}

// Earlier checkpoints are whole, and what is not to be kept is gone.
func TestEarlierCheckpointsAreKept(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("run", "--steps", "10", "--set", "checkpoint.keep=3")...)
	succeed(t, "train", "--resume", "--out", b.path("run"), "--data", b.data, "--steps", "20")
	steps, _ := filepath.Glob(b.path("run/step-*.safetensors"))
	states, _ := filepath.Glob(b.path("run/state-*.safetensors"))
	if len(steps) < 2 || len(steps) > 3 || len(states) != len(steps)+1 {
		t.Fatalf("there are %v and %v: want the two before the last, perhaps one of a lower loss, and a state each", steps, states)
	}
	for _, step := range []string{"step-10.safetensors", "step-15.safetensors"} {
		succeed(t, "eval", b.path("run/"+step), "--data", b.data)
	}
	succeed(t, "train", "--resume", "--out", b.path("run"), "--data", b.data, "--steps", "25", "--set", "checkpoint.keep=1")
	if left, _ := filepath.Glob(b.path("run/step-*.safetensors")); len(left) > 0 {
		t.Errorf("with checkpoint.keep=1 there are %v", left)
	}
}
