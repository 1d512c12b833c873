package cli

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/locus-learn/locus/mesh"
	"github.com/locus-learn/locus/safetensors"
)

// several runs a command line on n processes and returns its exit code and what it printed.
func several(t *testing.T, n int, fire func(cmd *exec.Cmd), args ...string) result {
	t.Helper()
	if !mesh.Able() {
		t.Skip("built without Gloo")
	}
	cmd := program(t, append(args, "--nproc", strconv.Itoa(n))...)
	var out bytes.Buffer
	err := trigger{text: "loss", fire: func() {}}
	if fire != nil {
		once := false
		err.fire = func() {
			if !once {
				once = true
				fire(cmd)
			}
		}
	}
	cmd.Stdout, cmd.Stderr = &out, &err
	cmd.Run()
	return result{cmd.ProcessState.ExitCode(), out.String(), err.seen.String()}
}

// tensors reads all tensors of a file.
func tensors(t *testing.T, path string) map[string]string {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := map[string]string{}
	for _, name := range f.Names() {
		b, err := f.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(b)
	}
	return all
}

// states reads the tensors of the one state file of a run.
func states(t *testing.T, dir string) map[string]string {
	t.Helper()
	found, _ := filepath.Glob(filepath.Join(dir, "state-*.safetensors"))
	if len(found) != 1 {
		t.Fatalf("states %v", found)
	}
	return tensors(t, found[0])
}

// alike wants all tensors to have the same bits.
func alike(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	var differ []string
	for name, bytes := range want {
		if got[name] != bytes {
			differ = append(differ, name)
		}
	}
	if len(differ) > 0 || len(got) != len(want) {
		t.Errorf("%s: %d of %d tensors differ, such as %s", what, len(differ), len(want), differ[0])
	}
}

// One run on two processes, then alone, then on three, ends with the weights, averages and optimizer state of one process, and
// so does its record.
func TestProcessesTrainTheBitsOfOne(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("alone", "--steps", "10", "--set", "optim.ema=0.9", "--set", "schedule.name=constant")...)
	r := several(t, 2, nil, b.train("mesh", "--steps", "4", "--set", "optim.ema=0.9", "--set", "schedule.name=constant", "--set", "mesh.modules=2")...)
	if r.code != 0 || !strings.Contains(r.out, "[0] run") {
		t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	again := []string{"train", "--resume", "--out", b.path("mesh"), "--data", b.data}
	succeed(t, append(again, "--steps", "7", "--set", "mesh.modules=1")...)
	if r := several(t, 3, nil, append(again, "--steps", "10", "--set", "mesh.modules=3")...); r.code != 0 {
		t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	for _, name := range []string{"last.safetensors", "ema.safetensors"} {
		alike(t, name, tensors(t, b.path("mesh/"+name)), tensors(t, b.path("alone/"+name)))
	}
	alike(t, "state", states(t, b.path("mesh")), states(t, b.path("alone")))
}

// Copies repeat bit for bit, in any arrangement of processes, and the file is that of one process.
func TestCopiesRepeatAsProcesses(t *testing.T) {
	b := newWorkbench(t)
	var first map[string]string
	for i, shape := range [][]string{{"2", "mesh.data=2"}, {"2", "mesh.data=2"}, {"4", "mesh.modules=2"}} {
		n, _ := strconv.Atoi(shape[0])
		out := fmt.Sprint("copies", i)
		if r := several(t, n, nil, b.train(out, "--steps", "5", "--set", shape[1])...); r.code != 0 {
			t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.err)
		}
		got := tensors(t, b.path(out+"/last.safetensors"))
		if first == nil {
			first = got
		}
		alike(t, fmt.Sprint(shape), got, first)
	}
	succeed(t, "eval", b.path("copies0"), "--data", b.data)
}

// What a user can get wrong ends all processes with code 2 and one line each.
func TestProcessesRefuse(t *testing.T) {
	b := newWorkbench(t)
	for i, tt := range []struct {
		n    int
		set  []string
		want string
	}{
		{2, []string{"mesh.modules=3"}, "product must be 2"},
		{4, []string{"mesh.modules=4"}, "mesh.modules is 4: must be at most 3"},
		{3, nil, "data.batch is 8: must be a multiple of 3"},
		{2, []string{"model.name=plain7", "model.depth=4", "method.name=pepita", "mesh.modules=2"}, "whose modules wait for the network's error"},
	} {
		args := b.train(fmt.Sprint("no", i))
		for _, s := range tt.set {
			args = append(args, "--set", s)
		}
		r := several(t, tt.n, nil, args...)
		if r.code != 2 || strings.Count(r.err, tt.want) != tt.n || strings.Count(r.err, "locus: ") != tt.n {
			t.Errorf("%v on %d: exit code %d, want 2 and %d lines with %q, got\n%s", tt.set, tt.n, r.code, tt.n, tt.want, r.err)
		}
	}
	refuse(t, []string{"--nproc is 0"}, b.train("no", "--nproc", "0")...)
	refuse(t, []string{"mesh.modules 2", "--nproc"}, b.train("no", "--set", "mesh.modules=2")...)
	if left, _ := filepath.Glob(filepath.Join(b.dir, "no*", "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// children lists the processes that a process has started.
func children(t *testing.T, parent int) (pids []int) {
	t.Helper()
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			pid, _ := strconv.Atoi(strings.Split(path, "/")[2])
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids) // in the order of the ranks
	return pids
}

// Processes that share every batch learn what one does, with the statistics of whole batches; alone, or with modules only, the
// same recipe is that of one process to the last bit.
func TestWholeBatchStatistics(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("alone", "--steps", "5", "--set", "mesh.sync_norm=true")...)
	want := tensors(t, b.path("alone/last.safetensors"))
	succeed(t, b.train("plain", "--steps", "5")...)
	alike(t, "alone", want, tensors(t, b.path("plain/last.safetensors")))
	for layout, off := range map[string]float64{"mesh.modules=2": 0, "mesh.data=2": 1e-5} {
		out := strings.NewReplacer(".", "", "=", "").Replace(layout)
		if r := several(t, 2, nil, b.train(out, "--steps", "5", "--set", "mesh.sync_norm=true", "--set", layout)...); r.code != 0 {
			t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.err)
		}
		got := tensors(t, b.path(out+"/last.safetensors"))
		if off == 0 {
			alike(t, layout, got, want)
			continue
		}
		for name, bytes := range want {
			if e := distance(got[name], bytes); e > off {
				t.Errorf("%s: %s is %g off", layout, name, e)
			}
		}
	}
}

// distance returns ‖a − b‖/‖b‖ of tensors of float32. Others, which only count, must be the same.
func distance(a, b string) float64 {
	if a == b {
		return 0
	}
	var d, n float64
	for i := 0; i+4 <= len(b) && len(a) == len(b); i += 4 {
		x := float64(math.Float32frombits(binary.LittleEndian.Uint32([]byte(a[i:]))))
		y := float64(math.Float32frombits(binary.LittleEndian.Uint32([]byte(b[i:]))))
		d, n = d+(x-y)*(x-y), n+y*y
	}
	return math.Sqrt(d / n)
}

// A rank that is killed, or stops, ends the run on all others, each with a line, and the run goes on to the same bits.
func TestLostProcessEndsTheRun(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("whole", "--steps", "15")...)
	for name, tt := range map[string]struct {
		n      int
		layout string
		steps  string
		rank   int
		signal syscall.Signal
		within time.Duration
	}{
		"killed":  {3, "mesh.modules=3", "15", 2, syscall.SIGKILL, 5 * time.Second},
		"leader":  {3, "mesh.modules=3", "15", 0, syscall.SIGKILL, 5 * time.Second},
		"stopped": {3, "mesh.modules=3", "15", 1, syscall.SIGSTOP, 12 * time.Second},
		// A sum in the middle of a backward pass waits in the engine, which nothing can wake.
		"hangs": {2, "mesh.sync_norm=true", "400", 1, syscall.SIGSTOP, 12 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			var at time.Time
			r := several(t, tt.n, func(cmd *exec.Cmd) {
				at = time.Now()
				syscall.Kill(children(t, cmd.Process.Pid)[tt.rank], tt.signal)
			}, b.train(name, "--steps", tt.steps, "--set", tt.layout, "--set", "mesh.timeout=3")...)
			if r.code != 1 || time.Since(at) > tt.within {
				t.Errorf("exit code %d after %v, want 1 within %v\n%s", r.code, time.Since(at), tt.within, r.err)
			}
			named := 0
			for rank := range tt.n {
				// One that hears of it late is told of the first other that has ended because of it.
				lines := regexp.MustCompile(fmt.Sprintf(`(?m)^\[%d\] locus: rank (\d) on `, rank)).FindAllStringSubmatch(r.err, -1)
				if rank != tt.rank && (len(lines) != 1 || lines[0][1] == strconv.Itoa(rank)) {
					t.Errorf("want one line of rank %d about another one, got\n%s", rank, r.err)
				}
				if len(lines) > 0 && lines[0][1] == strconv.Itoa(tt.rank) {
					named++
				}
			}
			if named == 0 {
				t.Errorf("no rank names rank %d:\n%s", tt.rank, r.err)
			}
			if name != "killed" {
				return
			}
			again := several(t, 3, nil, "train", "--resume", "--out", b.path(name), "--data", b.data, "--set", "mesh.modules=3")
			if again.code != 0 {
				t.Fatalf("exit code %d\n%s", again.code, again.err)
			}
			alike(t, name, tensors(t, b.path(name+"/last.safetensors")), tensors(t, b.path("whole/last.safetensors")))
		})
	}
}

// An interruption at any rank stops all after the same step, and the run is saved.
func TestInterruptionAtAnyRankSaves(t *testing.T) {
	b := newWorkbench(t)
	r := several(t, 2, func(cmd *exec.Cmd) {
		syscall.Kill(children(t, cmd.Process.Pid)[1], syscall.SIGTERM)
	}, b.train("stopped", "--steps", "100000", "--set", "mesh.modules=2")...)
	if r.code != 130 || !strings.Contains(r.err, "goes on with --resume") {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
	tensors(t, b.path("stopped/last.safetensors"))
}

// A loss that is not finite ends all processes with code 2, and the checkpoint stays.
func TestDivergenceEndsAllProcesses(t *testing.T) {
	b := newWorkbench(t)
	r := several(t, 2, nil, b.train("diverged", "--steps", "40", "--set", "optim.lr=1000", "--set", "mesh.modules=2")...)
	if r.code != 2 || strings.Count(r.err, "keeps the last good checkpoint") != 2 {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
	tensors(t, b.path("diverged/last.safetensors"))
}

// A file that cannot be written at rank 0 ends all processes with its line and code, and what is there can be gone on from.
func TestFullDiskEndsAllProcesses(t *testing.T) {
	b := newWorkbench(t)
	if r := several(t, 2, nil, b.train("full", "--steps", "3", "--set", "mesh.modules=2", "--set", "schedule.name=constant")...); r.code != 0 {
		t.Fatal(r.err)
	}
	again := []string{"train", "--resume", "--out", b.path("full"), "--data", b.data, "--steps", "6"}
	limited := program(t)
	limited.Path = "/bin/bash"
	limited.Args = append([]string{"bash", "-c", `ulimit -f 8; exec "$0" "$@"`, os.Args[0]}, append(again, "--nproc", "2")...)
	limited.Env = append(limited.Env, asProgram+"="+impatient)
	said, _ := limited.CombinedOutput()
	lines := regexp.MustCompile(`(?m)^\[[01]\] locus: .*cannot be written: file too large.*ulimit -f`).FindAllString(string(said), -1)
	if code := limited.ProcessState.ExitCode(); code != 2 || strings.Count(string(said), "locus: ") != 2 || len(lines) != 2 {
		t.Errorf("exit code %d, want 2 and two lines, got\n%s", code, said)
	}
	if r := several(t, 2, nil, again...); r.code != 0 {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
}

// Two processes that a launcher has placed meet over the network. What is wrong with one of them is told by each that can know
// it, in one line, and all end with code 2.
func TestLaunchedProcesses(t *testing.T) {
	if !mesh.Able() {
		t.Skip("built without Gloo")
	}
	b := newWorkbench(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	start := func(rank, world int, port string, more ...string) (*exec.Cmd, *bytes.Buffer) {
		cmd := program(t, append(b.train("launched", "--force", "--steps", "3"), more...)...)
		cmd.Env = append(cmd.Env, "RANK="+strconv.Itoa(rank), "WORLD_SIZE="+strconv.Itoa(world), "MASTER_ADDR=127.0.0.1", "MASTER_PORT="+port)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, &out
	}
	refuses := func(cmd *exec.Cmd, out *bytes.Buffer, words ...string) {
		t.Helper()
		cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 2 || strings.Count(out.String(), "locus: ") != 1 {
			t.Errorf("exit code %d, want 2 and one line, got\n%s", code, out)
		}
		for _, word := range words {
			if !strings.Contains(out.String(), word) {
				t.Errorf("want %q, got\n%s", word, out)
			}
		}
	}
	for _, tt := range []struct{ want, set string }{
		{"rank 0 cannot listen at 127.0.0.1:" + port, "seed=1"}, {`mesh.interface is "eth99"`, "mesh.interface=eth99"},
	} {
		cmd, out := start(0, 2, port, "--set", tt.set)
		refuses(cmd, out, tt.want)
	}
	taken.Close()
	for i := range 5 {
		write(t, b.path(fmt.Sprintf("other/data_batch_%d.bin", i+1)), cifar(uint64(i), 4))
	}
	write(t, b.path("other/test_batch.bin"), cifar(9, 16))
	for _, tt := range []struct {
		world int
		more  []string // of rank 1
		words []string // of both
	}{
		{3, nil, []string{"as one of 2", "as one of 3", "rank 0 on ", "rank 1 on "}},
		{2, []string{"--set", "seed=9", "--set", "optim.lr=0.01"}, []string{"rank 0 on ", "rank 1 on ", "seed", "optim.lr"}},
		{2, []string{"--data", b.path("other")}, []string{"rank 0 on ", "rank 1 on ", "training samples"}},
	} {
		leader, said := start(0, 2, port)
		follower, answered := start(1, tt.world, port, tt.more...)
		refuses(leader, said, tt.words...)
		refuses(follower, answered, tt.words...)
	}
	for _, ranks := range [][]int{{0, 1, 1}, {0, 0}} { // of three
		var all []*exec.Cmd
		var said []*bytes.Buffer
		for _, rank := range ranks {
			cmd, out := start(rank, 3, port, "--set", "mesh.timeout=300") // which is not waited for: a test's process has a minute
			all, said = append(all, cmd), append(said, out)
		}
		twice := ranks[len(ranks)-2:]
		for i := range all {
			refuses(all[i], said[i], fmt.Sprintf("were both started as rank %d of 3", twice[0]),
				fmt.Sprint("process ", all[len(all)-1].Process.Pid, " on "), fmt.Sprint("process ", all[len(all)-2].Process.Pid, " on "))
		}
	}
	leader, said := start(0, 2, port, "--set", "mesh.modules=2")
	follower, answered := start(1, 2, port, "--set", "mesh.modules=2")
	leader.Wait()
	follower.Wait()
	if a, b := leader.ProcessState.ExitCode(), follower.ProcessState.ExitCode(); a != 0 || b != 0 || strings.Contains(said.String(), "encryption") {
		t.Errorf("exit codes %d and %d\n%s%s", a, b, said, answered)
	}
}
