package record

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// Env is where a run took place, stored as env.json. It leaves out the host's name: a run folder is meant to be shared.
type Env struct {
	Version  string    `json:"version"`          // of this module, "(devel)" if built from a checkout
	Commit   string    `json:"commit,omitempty"` // "" if the build recorded none
	Modified bool      `json:"modified"`         // the checkout had changes on top of Commit
	Go       string    `json:"go"`
	OS       string    `json:"os"`
	Arch     string    `json:"arch"`
	CPU      string    `json:"cpu"`     // model name, "unknown" if the system does not tell
	Cores    int       `json:"cores"`   // logical, that this process may use
	Threads  int       `json:"threads"` // of the engine
	Engine   string    `json:"engine"`
	Started  time.Time `json:"started"`
	Earlier  []Env     `json:"earlier,omitzero"` // where a run was before it went on here, the first one first
}

// Continues notes where a run was before, and says in words what is another now that the last bits of its weights may depend on; ""
// if nothing is.
func (e *Env) Continues(before Env) string {
	e.Earlier = before.Earlier
	before.Earlier = nil
	var other []string
	for _, each := range []struct{ what, was, is string }{
		{"locus", before.build(), e.build()}, {"engine", before.Engine, e.Engine}, {"processor", before.CPU, e.CPU},
	} {
		if each.was != "" && each.was != each.is {
			other = append(other, fmt.Sprintf("%s %s, before %s", each.what, each.is, each.was))
		}
	}
	if len(other) > 0 {
		e.Earlier = append(e.Earlier, before)
	}
	return strings.Join(other, "; ")
}

// build names the program.
func (e *Env) build() string {
	name := e.Version
	if e.Commit != "" {
		name += " " + e.Commit[:min(len(e.Commit), 7)]
	}
	if e.Modified {
		name += " with changes"
	}
	return name
}

// CollectEnv describes this process; engine names the tensor library and its version, threads is how many it computes with.
func CollectEnv(engine string, threads int) Env {
	env := Env{
		Version: "unknown", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: "unknown",
		Cores: runtime.NumCPU(), Threads: threads, Engine: engine, Started: time.Now().Truncate(time.Second),
	}
	if build, ok := debug.ReadBuildInfo(); ok {
		env.Version = build.Main.Version
		for _, s := range build.Settings {
			switch s.Key {
			case "vcs.revision":
				env.Commit = s.Value
			case "vcs.modified":
				env.Modified = s.Value == "true"
			}
		}
	}
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		env.CPU = cpuModel(f)
	}
	return env
}

// cpuModel finds the first model name in the text of /proc/cpuinfo; the kernel gives none on some architectures.
func cpuModel(cpuinfo io.Reader) string {
	lines := bufio.NewScanner(cpuinfo)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), ":")
		if strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
