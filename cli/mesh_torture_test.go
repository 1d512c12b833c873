package cli

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// TestTortureProcesses kills a random rank of three, or of four in a grid, at a random moment, LOCUS_MESH_TORTURE times in all, half
// of them each. It resumes, and wants the final weights of a run that nobody has disturbed. Each kill is a row of
// LOCUS_MESH_TORTURE_LOG.
func TestTortureProcesses(t *testing.T) {
	kills, _ := strconv.Atoi(os.Getenv("LOCUS_MESH_TORTURE"))
	if kills == 0 {
		t.Skip("LOCUS_MESH_TORTURE is not set")
	}
	log, err := os.OpenFile(os.Getenv("LOCUS_MESH_TORTURE_LOG"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	b := newWorkbench(t)
	for _, shape := range []struct {
		n    int
		sets []string
	}{{3, []string{"--set", "mesh.modules=3"}}, {4, []string{"--set", "mesh.modules=2", "--set", "mesh.data=2"}}} {
		t.Run(strconv.Itoa(shape.n), func(t *testing.T) {
			whole := fmt.Sprint("whole", shape.n)
			if r := several(t, shape.n, nil, b.train(whole, append(shape.sets, "--steps", "12")...)...); r.code != 0 {
				t.Fatal(r.err)
			}
			want := tensors(t, b.path(whole+"/last.safetensors"))
			for run, done := 0, 0; done < kills/2; run++ {
				out := fmt.Sprint("run", shape.n, "-", run)
				args := b.train(out, append(shape.sets, "--steps", "12")...)
				for finished := false; !finished; {
					killed, rank, after, code := killOne(t, shape.n, done < kills/2, args)
					finished = !killed && code == 0
					if !killed && code != 0 {
						t.Fatalf("%s ended with code %d", out, code)
					}
					if killed {
						done++
						fmt.Fprintf(log, "%d,%s,%d,%d,%d\n", shape.n, shape.sets[1], rank, after.Milliseconds(), code)
					}
					if _, err := os.Stat(b.path(out + "/config.yaml")); err == nil {
						args = append([]string{"train", "--resume", "--out", b.path(out), "--data", b.data}, shape.sets...)
					}
				}
				alike(t, out, tensors(t, b.path(out+"/last.safetensors")), want)
				os.RemoveAll(b.path(out))
			}
		})
	}
}

// killOne starts n processes and, where it may, kills a random one after a random time. It reports whether that was in time.
func killOne(t *testing.T, n int, may bool, args []string) (killed bool, rank int, after time.Duration, code int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], append(args, "--nproc", strconv.Itoa(n))...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	rank, after = rand.IntN(n), time.Duration(rand.IntN(4000))*time.Millisecond
	for waiting := true; waiting && len(children(t, cmd.Process.Pid)) < n; {
		select {
		case <-ended:
			waiting = false
		case <-time.After(20 * time.Millisecond):
		}
	}
	select {
	case <-ended:
	case <-time.After(after):
		if pids := children(t, cmd.Process.Pid); may && len(pids) == n {
			killed = syscall.Kill(pids[rank], syscall.SIGKILL) == nil
		}
		<-ended
	}
	if code = cmd.ProcessState.ExitCode(); killed && code == 0 {
		killed = false // it had ended by itself
	}
	if killed && code != 1 {
		t.Errorf("code %d after a kill of rank %d\n%s", code, rank, out.String())
	}
	return killed, rank, after, code
}
