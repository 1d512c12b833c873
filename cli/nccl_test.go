package cli

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// standIn has the processes of a test talk by the library that stands in for NCCL.
func standIn(t *testing.T) {
	t.Helper()
	folder := t.TempDir()
	library := folder + "/nccl.so"
	t.Setenv("STANDIN_FOLDER", folder)
	args := []string{"-std=c++20", "-O1", "-fPIC", "-shared", "-o", library, "../torch/dist/testdata/nccl.cpp"}
	if text, err := exec.Command("g++", args...).CombinedOutput(); err != nil {
		t.Fatalf("g++: %v\n%s", err, text)
	}
	t.Setenv("LOCUS_NCCL", library)
}

// Processes that talk by NCCL end with the bits of processes that talk by Gloo, checkpoints among them. Two addends have the same sum
// in any order.
func TestProcessesOverNCCL(t *testing.T) {
	standIn(t)
	b := newWorkbench(t)
	for _, engine := range []string{"gloo", "nccl"} {
		args := b.train(engine, "--steps", "5", "--set", "optim.ema=0.9", "--set", "mesh.engine="+engine, "--set", "mesh.modules=2", "--set", "mesh.data=2")
		if r := several(t, 4, nil, args...); r.code != 0 {
			t.Fatalf("%s: exit code %d\n%s%s", engine, r.code, r.out, r.err)
		}
	}
	for _, name := range []string{"last.safetensors", "ema.safetensors"} {
		alike(t, name, tensors(t, b.path("nccl/"+name)), tensors(t, b.path("gloo/"+name)))
	}
	alike(t, "state", states(t, b.path("nccl")), states(t, b.path("gloo")))
}

// What keeps NCCL from being used ends all processes with code 2 and one line each.
func TestProcessesWithoutNCCL(t *testing.T) {
	b := newWorkbench(t)
	t.Setenv("LOCUS_NCCL", "/nowhere/libnccl.so.2")
	r := several(t, 2, nil, b.train("no", "--set", "mesh.engine=nccl")...)
	if want := "rank 0 on "; r.code != 2 || strings.Count(r.err, "locus: "+want) != 2 || strings.Count(r.err, "cannot be loaded") != 2 {
		t.Errorf("exit code %d, want 2 and two lines with %q, got\n%s", r.code, want, r.err)
	}
	standIn(t)
	t.Setenv("STANDIN_FAULT", "init")
	r = several(t, 2, nil, b.train("no", "--set", "mesh.engine=nccl")...)
	if r.code != 2 || strings.Count(r.err, "locus: ") != 2 || strings.Count(r.err, "ncclCommInitRank: unhandled system error; NCCL_DEBUG=INFO") != 2 {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
}

// A rank that stops while others wait for it in NCCL ends the run on all of them, with one line each: a call that never returns keeps
// no process alive.
func TestLostProcessOverNCCL(t *testing.T) {
	standIn(t)
	b := newWorkbench(t)
	var at time.Time
	r := several(t, 3, func(cmd *exec.Cmd) {
		at = time.Now()
		syscall.Kill(children(t, cmd.Process.Pid)[1], syscall.SIGSTOP)
	}, b.train("stopped", "--steps", "2000", "--set", "data.batch=9", "--set", "mesh.data=3", "--set", "mesh.timeout=3", "--set", "mesh.engine=nccl")...)
	if r.code != 1 || time.Since(at) > 12*time.Second {
		t.Errorf("exit code %d after %v\n%s", r.code, time.Since(at), r.err)
	}
	for _, rank := range []int{0, 2} {
		if line := "[" + strconv.Itoa(rank) + "] locus: rank 1 on "; strings.Count(r.err, line) != 1 {
			t.Errorf("want one line %q, got\n%s", line, r.err)
		}
	}
}
