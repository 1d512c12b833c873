package cli

import (
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/locus-learn/locus/internal/host"
	"github.com/locus-learn/locus/torch"
)

// The kernels that run in this very process, and in the program, are ones that this processor deserves: Slow is false, or
// the program would start itself anew.
func TestTheProgramRunsFastKernels(t *testing.T) {
	if torch.Describe().Kernel == "" {
		t.Skip("the BLAS here is not OpenBLAS")
	}
	cmd := program(t, "doctor")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(out), "\n") {
		if strings.Contains(line, "kernels") {
			t.Log(line)
			if !strings.HasPrefix(line, "ok") {
				t.Errorf("doctor says %q", line)
			}
		}
	}
}

func TestDoctorCallsASlowKernelSlow(t *testing.T) {
	if (host.Processor() == host.Features{}) {
		t.Skip("any kernel is right for this processor")
	}
	cmd := program(t, "doctor")
	cmd.Env = append(cmd.Env, host.CoreType+"=Prescott") // the user's choice, which stays
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if torch.Describe().Kernel != "" && !strings.Contains(string(out), "start with "+host.CoreType+"=") {
		t.Errorf("doctor does not call Prescott slow:\n%s", out)
	}
}

// Each of these has made steps wait for ever.
func TestNoSurroundingsHang(t *testing.T) {
	if testing.Short() {
		t.Skip("a process each")
	}
	b := newWorkbench(t)
	for _, env := range []string{
		"OMP_DYNAMIC=true", "OMP_THREAD_LIMIT=1", "OMP_MAX_ACTIVE_LEVELS=0", "OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1",
		"OMP_PROC_BIND=true", "OMP_WAIT_POLICY=passive", "GOMP_CPU_AFFINITY=0",
	} {
		t.Run(env, func(t *testing.T) {
			cmd := program(t, b.train("run-"+env, "--steps", "2", "--set", "threads=0")...)
			cmd.Env = append(cmd.Env, env)
			began := time.Now()
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v after %v\n%s", err, time.Since(began), out)
			}
		})
	}
}

func pipe(t *testing.T) (read, write *os.File) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return read, write
}

func TestReadersMayLeave(t *testing.T) {
	b := newWorkbench(t)
	cmd := program(t, b.train("run", "--steps", "6")...)
	read, write := pipe(t)
	cmd.Stdout, cmd.Stderr = write, write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	if _, err := read.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	read.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("without readers: %v", err)
	}
	succeed(t, "eval", b.path("run"), "--data", b.data)
}

func TestASignalSavesAndTheRunGoesOn(t *testing.T) {
	b := newWorkbench(t)
	for _, sig := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGUSR2} {
		cmd := program(t, b.train("run", "--steps", "100000", "--force", "--set", "schedule.epochs=20000")...)
		first := true
		err := trigger{text: "epoch 1/", fire: func() {
			if first {
				first = false
				cmd.Process.Signal(sig)
				time.AfterFunc(time.Second, func() { cmd.Process.Signal(syscall.SIGTERM) })
			}
		}}
		cmd.Stderr = &err
		cmd.Run()
		if code := cmd.ProcessState.ExitCode(); code != 130 {
			t.Errorf("%v, then SIGTERM: exit code %d, want 130\n%s", sig, code, err.seen.String())
		}
	}
}

func TestLossOfTheTerminalSaves(t *testing.T) {
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP) // or a program started by tests under nohup would ignore it, as it should
	defer signal.Stop(caught)
	b := newWorkbench(t)
	cmd := program(t, b.train("run", "--steps", "100000")...)
	err := trigger{text: "epoch 1/", fire: func() { cmd.Process.Signal(syscall.SIGHUP) }}
	cmd.Stderr = &err
	cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit code %d, want 130\n%s", code, err.seen.String())
	}
}
