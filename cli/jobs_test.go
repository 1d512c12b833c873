package cli

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	yaml "go.yaml.in/yaml/v3"

	"github.com/locus-learn/locus/mesh"
)

// job is a place where the example job files run: `locus` there is this program, with a network that is small enough for a test, and
// `srun` starts two of a step's processes as Slurm does.
type job struct {
	workbench
	path string // of programs
	port string
}

func newJob(t *testing.T) job {
	t.Helper()
	if !mesh.Able() {
		t.Skip("built without Gloo")
	}
	b := newWorkbench(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	j := job{b, b.path("bin"), strconv.Itoa(l.Addr().(*net.TCPAddr).Port)}
	small := []string{"threads=1", "schedule.name=constant", "data.batch=8", "model.depth=8", "model.width=4", "method.modules=2", "mesh.modules=2", "mesh.data=1"}
	// Later flags count.
	locus := fmt.Sprintf("#!/bin/bash\nexec %q \"$@\" --data %q --steps $STEPS", os.Args[0], b.data)
	for _, s := range small {
		locus += " --set " + s
	}
	write(t, filepath.Join(j.path, "locus"), []byte(locus+"\n"))
	write(t, filepath.Join(j.path, "srun"), []byte(`#!/bin/bash
shift # --kill-on-bad-exit
export SLURM_STEP_NUM_TASKS=2 SLURM_STEP_NODELIST=127.0.0.1 SLURM_STEP_TASKS_PER_NODE=2 MASTER_PORT=$PORT
SLURM_PROCID=1 SLURM_LOCALID=1 "$@" &
SLURM_PROCID=0 SLURM_LOCALID=0 "$@" || exit
wait $!
`))
	for _, name := range []string{"locus", "srun"} {
		if err := os.Chmod(filepath.Join(j.path, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return j
}

// command is one that runs in the place for so many steps.
func (j job) command(t *testing.T, steps int, env []string, name string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	cmd := program(t)
	cmd.Args = append([]string{name}, args...)
	cmd.Path, _ = exec.LookPath(name)
	cmd.Env = append(cmd.Env, append(env, "PATH="+j.path+":"+os.Getenv("PATH"), "PORT="+j.port, "STEPS="+strconv.Itoa(steps))...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	return cmd, &out
}

// The job file for Slurm trains, and goes on when it runs again, to the bits of a run that was not interrupted.
func TestSlurmJob(t *testing.T) {
	j := newJob(t)
	script, err := filepath.Abs("../examples/jobs/slurm.sh")
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"SLURM_SUBMIT_DIR=" + j.dir, "SLURM_JOB_ID=12345", "SLURM_PROCID=0", "SLURM_NTASKS=8"} // as a batch script has them
	for _, steps := range []int{3, 6} {
		if cmd, out := j.command(t, steps, env, "bash", script); cmd.Run() != nil || steps == 6 && !strings.Contains(out.String(), "step 3") {
			t.Fatalf("%v\n%s", cmd.ProcessState, out)
		}
	}
	if cmd, out := j.command(t, 6, nil, "bash", j.path+"/locus", "train", "cifar10-resnet32-sgr-k3", "--out", j.dir+"/whole", "--nproc", "2"); cmd.Run() != nil {
		t.Fatalf("%s", out)
	}
	alike(t, "runs/sgr", tensors(t, j.dir+"/runs/sgr/last.safetensors"), tensors(t, j.dir+"/whole/last.safetensors"))
}

// The job file for Kubernetes trains, a process a pod, and goes on when its pods start again. Workers need no run folder.
func TestKubernetesJob(t *testing.T) {
	j := newJob(t)
	text, err := os.ReadFile("../examples/jobs/pytorchjob.yaml")
	if err != nil {
		t.Fatal(err)
	}
	type pods struct {
		Replicas int
		Template struct {
			Spec struct {
				Containers []struct {
					Name          string
					Command, Args []string
				}
			}
		}
	}
	var file struct {
		Kind string
		Spec struct {
			Replicas struct {
				Master pods `yaml:"Master"`
				Worker pods `yaml:"Worker"`
			} `yaml:"pytorchReplicaSpecs"`
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	kinds := file.Spec.Replicas
	if all := kinds.Master.Replicas + kinds.Worker.Replicas; file.Kind != "PyTorchJob" || kinds.Master.Replicas != 1 || !strings.Contains(string(text), fmt.Sprint("mesh.data=", all)) {
		t.Errorf("%d pods of a %s, which mesh.data does not name", all, file.Kind)
	}
	for _, steps := range []int{3, 6} {
		var cmds []*exec.Cmd
		var said []*bytes.Buffer
		for rank, kind := range []pods{kinds.Master, kinds.Worker} {
			c := kind.Template.Spec.Containers[0]
			line := append(c.Command, c.Args...)
			for i := range line {
				line[i] = strings.ReplaceAll(line[i], "/runs/", j.dir+"/")
			}
			cmd, out := j.command(t, steps, []string{"RANK=" + strconv.Itoa(rank), "WORLD_SIZE=2", "MASTER_ADDR=127.0.0.1", "MASTER_PORT=" + j.port},
				"env", line...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			cmds, said = append(cmds, cmd), append(said, out)
		}
		for rank, cmd := range cmds {
			if cmd.Wait() != nil {
				t.Fatalf("rank %d, %d steps: %v\n%s", rank, steps, cmd.ProcessState, said[rank])
			}
		}
	}
	tensors(t, j.dir+"/sgr/last.safetensors")
}

// doctor says by which launcher it was started, and where its processes meet.
func TestDoctorNamesTheLauncher(t *testing.T) {
	for _, tt := range []struct{ env, want string }{
		{"LOCUS_RANK=1 LOCUS_WORLD_SIZE=2 LOCUS_SOCKET=/tmp/s", "--nproc, rank 1 of 2, which meet at /tmp/s"},
		{"TORCHELASTIC_RUN_ID=none RANK=3 WORLD_SIZE=4 MASTER_ADDR=a MASTER_PORT=29500", "torchrun, rank 3 of 4, which meet at a:29501"},
		{"RANK=1 WORLD_SIZE=3 MASTER_ADDR=job-master-0 MASTER_PORT=23456", "PyTorchJob, rank 1 of 3, which meet at job-master-0:23456"},
		{"SLURM_PROCID=2 SLURM_STEP_NUM_TASKS=4 SLURM_JOB_ID=12345 SLURM_STEP_NODELIST=node[03-04]", "Slurm, rank 2 of 4, which meet at node03:29945"},
		{"OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_LOCAL_SIZE=2 MASTER_PORT=7", "Open MPI, rank 1 of 2, which meet at 127.0.0.1:7"},
		{"SLURM_PROCID=0 SLURM_NTASKS=8", "none: one process"},
		{"RANK=0 WORLD_SIZE=1", "PyTorchJob, one process"},
		{"RANK=7 WORLD_SIZE=2", "rank 7 of 2: must be 0 to 1"},
	} {
		t.Run(tt.want, func(t *testing.T) {
			for _, each := range strings.Fields(tt.env) {
				name, value, _ := strings.Cut(each, "=")
				t.Setenv(name, value)
			}
			if f := examineLauncher(); f.topic != "launcher" || !strings.Contains(f.text+": "+f.hint, tt.want) {
				t.Errorf("%+v, want %q", f, tt.want)
			}
		})
	}
}
