package mesh

import (
	"strings"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
)

func TestLaunchersAreFoundByTheirVariables(t *testing.T) {
	for name, tt := range map[string]struct {
		env  string
		want Place
	}{
		"none":                  {"", Place{World: 1}},
		"nproc":                 {"LOCUS_RANK=1 LOCUS_WORLD_SIZE=2 LOCUS_LOCAL_RANK=1 LOCUS_LOCAL_WORLD_SIZE=2 LOCUS_SOCKET=/t/s LOCUS_SECRET=x RANK=5 WORLD_SIZE=9", Place{Launcher: "--nproc", Rank: 1, World: 2, LocalRank: 1, LocalWorld: 2, Path: "/t/s", Secret: "x"}},
		"torchrun":              {"TORCHELASTIC_RUN_ID=none RANK=3 WORLD_SIZE=4 LOCAL_RANK=1 LOCAL_WORLD_SIZE=2 MASTER_ADDR=a MASTER_PORT=29500", Place{Launcher: "torchrun", Rank: 3, World: 4, LocalRank: 1, LocalWorld: 2, Host: "a", Port: 29501}},
		"Kubernetes":            {"RANK=1 WORLD_SIZE=3 MASTER_ADDR=job-master-0 MASTER_PORT=23456", Place{Launcher: "PyTorchJob", Rank: 1, World: 3, Host: "job-master-0", Port: 23456}},
		"Slurm":                 {"SLURM_PROCID=2 SLURM_STEP_NUM_TASKS=4 SLURM_LOCALID=0 SLURM_JOB_ID=12345 SLURM_STEP_NODELIST=node[03-04] SLURM_STEP_TASKS_PER_NODE=2(x2)", Place{Launcher: "Slurm", Rank: 2, World: 4, LocalWorld: 2, Host: "node03", Port: 29945}},
		"a batch script":        {"SLURM_PROCID=0 SLURM_NTASKS=4 SLURM_JOB_ID=12345", Place{World: 1}},
		"one task":              {"SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=1", Place{Launcher: "Slurm", World: 1}},
		"Open MPI":              {"OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_LOCAL_RANK=1 OMPI_COMM_WORLD_LOCAL_SIZE=2", Place{Launcher: "Open MPI", Rank: 1, World: 2, LocalRank: 1, LocalWorld: 2, Host: "127.0.0.1"}},
		"torchrun over Slurm":   {"TORCHELASTIC_RUN_ID=1 RANK=0 WORLD_SIZE=2 MASTER_ADDR=a MASTER_PORT=1 SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=8", Place{Launcher: "torchrun", World: 2, Host: "a", Port: 2}},
		"PyTorchJob over Slurm": {"RANK=1 WORLD_SIZE=2 MASTER_ADDR=a MASTER_PORT=5 SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=8", Place{Launcher: "PyTorchJob", Rank: 1, World: 2, Host: "a", Port: 5}},
		"Slurm over Open MPI":   {"SLURM_PROCID=1 SLURM_STEP_NUM_TASKS=2 SLURM_STEP_NODELIST=n1,n2 MASTER_PORT=5 OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=9", Place{Launcher: "Slurm", Rank: 1, World: 2, Host: "n1", Port: 5}},
		"a rank and no world":   {"RANK=0", Place{World: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := find(environment(tt.env))
			if err != nil || got != tt.want {
				t.Errorf("%+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

func TestLaunchersMistakesAreNamed(t *testing.T) {
	for env, want := range map[string]string{
		"RANK=x WORLD_SIZE=2":               `RANK is "x": must be a number`,
		"RANK=2 WORLD_SIZE=2 MASTER_ADDR=a": "rank 2 of 2: must be 0 to 1",
		"RANK=0 WORLD_SIZE=2":               "set MASTER_ADDR",
		"LOCUS_RANK=-1 LOCUS_WORLD_SIZE=3":  "rank -1 of 3",
		"OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_LOCAL_SIZE=1":   "set MASTER_ADDR",
		"SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=2 SLURM_STEP_NODELIST=a MASTER_PORT=many": `MASTER_PORT is "many"`,
	} {
		if _, err := find(environment(env)); !fault.Is(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", env, err, want)
		}
	}
}

func environment(text string) func(string) string {
	all := map[string]string{}
	for _, each := range strings.Fields(text) {
		k, v, _ := strings.Cut(each, "=")
		all[k] = v
	}
	return func(name string) string { return all[name] }
}

func TestFirstHost(t *testing.T) {
	for list, want := range map[string]string{
		"node1": "node1", "a,b": "a", "node[03-07,9]": "node03", "n[1,3]x,other": "n1x", "rack2-[08-09].net,z": "rack2-08.net", "": "",
	} {
		if got := firstHost(list); got != want {
			t.Errorf("%s: %s, want %s", list, got, want)
		}
	}
}

func TestShapes(t *testing.T) {
	for _, tt := range []struct {
		o     Options
		world int
		want  Shape
		fault string
	}{
		{Options{Modules: 1}, 4, Shape{4, 1}, ""}, {Options{Modules: 2}, 4, Shape{2, 2}, ""}, {Options{Data: 2, Modules: 2}, 4, Shape{2, 2}, ""},
		{Options{Data: 3, Modules: 1}, 4, Shape{}, "product must be 4"}, {Options{Modules: 3}, 4, Shape{}, "product must be 4"},
		{Options{Modules: 2}, 1, Shape{}, "product must be 1"},
	} {
		got, err := tt.o.Shape(tt.world)
		if tt.fault == "" && (err != nil || got != tt.want) || tt.fault != "" && (!fault.Is(err) || !strings.Contains(err.Error(), tt.fault)) {
			t.Errorf("%+v of %d: %v, %v", tt.o, tt.world, got, err)
		}
	}
	s := Shape{2, 3}
	if err := s.Fits(2, 8); !fault.Is(err) {
		t.Error("more ranks than modules")
	}
	if err := s.Fits(3, 9); !fault.Is(err) {
		t.Error("a batch that cannot be shared")
	}
	at := 0
	for m := range 3 {
		from, end := s.Run(m, 4)
		if from != at || end <= from {
			t.Errorf("rank %d has %d to %d", m, from, end)
		}
		at = end
	}
}

func TestInterfacesAreFound(t *testing.T) {
	if a, err := address("lo"); err != nil || a != "127.0.0.1" {
		t.Errorf("%s, %v", a, err)
	}
	if _, err := address("eth77"); !fault.Is(err) || !strings.Contains(err.Error(), "eth77") {
		t.Errorf("%v", err)
	}
	if a, err := towards("127.0.0.1"); err != nil || a != "127.0.0.1" {
		t.Errorf("%s, %v", a, err)
	}
}

// Rank 0 warns where others can reach the processes, and says nothing on loopback, or where it is alone.
func TestWarning(t *testing.T) {
	for address, warns := range map[string]bool{"127.0.0.1": false, "::1": false, "10.1.2.3": true, "fd00::7": true} {
		w := &World{Place: Place{World: 2}, address: address}
		if got := w.Warning(); strings.Contains(got, "without encryption") != warns || strings.Contains(got, "\n") {
			t.Errorf("%s: %q", address, got)
		}
		if w.World = 1; w.Warning() != "" {
			t.Errorf("%s: a process alone warns", address)
		}
	}
}
