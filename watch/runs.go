// Package watch shows runs while they train: a page that a browser reads from this process, all of it in the program. It
// reads run folders, so it can watch runs of other processes, too.
package watch

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/record"
	"github.com/locus-learn/locus/report"
)

// number is a float64 whose NaN and infinities become null.
type number float64

// MarshalJSON implements [json.Marshaler].
func (n number) MarshalJSON() ([]byte, error) {
	if v := float64(n); !math.IsNaN(v) && !math.IsInf(v, 0) {
		return strconv.AppendFloat(nil, v, 'g', 6, 64), nil
	}
	return []byte("null"), nil
}

func numbers(values []float64) []number {
	out := make([]number, len(values))
	for i, v := range values {
		out[i] = number(v)
	}
	return out
}

// points are values of every module at some steps.
type points struct {
	X []int      `json:"x"`
	Y [][]number `json:"y"` // one list a point, one value a module
}

func (p *points) add(x int, y []float64) {
	if len(y) > 0 {
		p.X, p.Y = append(p.X, x), append(p.Y, numbers(y))
	}
}

// thin keeps about n points, the last among them.
func (p points) thin(n int) points {
	if len(p.X) <= n {
		return p
	}
	var out points
	every := (len(p.X) + n - 1) / n
	for i := (len(p.X) - 1) % every; i < len(p.X); i += every {
		out.X, out.Y = append(out.X, p.X[i]), append(out.Y, p.Y[i])
	}
	return out
}

// State says how a run stands.
type State string

// The states.
const (
	Running State = "running"
	Done    State = "done"
	Ended   State = "ended early"
	Waiting State = "not running" // neither done nor at work
)

// Run is what the page shows of one.
type Run struct {
	ID       string `json:"id"` // its folder, below the watched one
	Method   string `json:"method"`
	Model    string `json:"model"`
	Data     string `json:"data"`
	Seed     string `json:"seed"`
	State    State  `json:"state"`
	Why      string `json:"why,omitempty"` // it ended early
	Step     int    `json:"step"`
	Total    int    `json:"total"` // steps; 0 where the folder does not say
	Left     number `json:"left"`  // seconds, null where unknown
	Speed    number `json:"speed"` // images a second
	Accuracy number `json:"accuracy"`
	Measure  string `json:"measure"` // what accuracies are; empty before the first one
	Peak     int64  `json:"peak"`    // bytes, 0 before the first evaluation
	Resting  int64  `json:"resting"`
	Loss     points `json:"loss"`    // of each module
	Acc      points `json:"acc"`     // of each head
	Cosine   points `json:"cosine"`  // of each module with the one before
	Updated  int64  `json:"updated"` // seconds since 1970
}

// mostPoints is how many points of a curve a browser gets.
const mostPoints = 200

// folder reads the runs below a folder, and reads again only what has changed.
type folder struct {
	root  string
	mutex sync.Mutex
	known map[string]cached
}

type cached struct {
	size int64
	time time.Time
	run  Run
}

// runs lists all that there are now.
func (f *folder) runs() []Run {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	all := []Run{}
	for _, dir := range report.Folders(f.root) {
		all = append(all, f.read(dir))
	}
	return all
}

// dir returns the folder of a run that is there.
func (f *folder) dir(id string) (string, bool) {
	for _, dir := range report.Folders(f.root) {
		if f.id(dir) == id {
			return dir, true
		}
	}
	return "", false
}

func (f *folder) id(dir string) string {
	id, err := filepath.Rel(f.root, dir)
	if err != nil || id == "." {
		return filepath.Base(dir)
	}
	return filepath.ToSlash(id)
}

// read returns a run as its files have it. What cannot be read shows as a run that has not begun.
func (f *folder) read(dir string) Run {
	id := f.id(dir)
	size, changed := int64(0), time.Time{}
	if info, err := os.Stat(filepath.Join(dir, "metrics.jsonl")); err == nil {
		size, changed = info.Size(), info.ModTime()
	}
	have, ok := f.known[id]
	if !ok || have.size != size || !have.time.Equal(changed) {
		have = cached{size, changed, measured(dir)}
		f.known[id] = have
	}
	run := have.run
	run.ID, run.Updated = id, changed.Unix()
	run.stands(dir)
	return run
}

// measured reads recipe and metrics.
func measured(dir string) Run {
	run := Run{Left: number(math.NaN()), Speed: number(math.NaN()), Accuracy: number(math.NaN())}
	keys, err := report.Keys(dir)
	if err != nil {
		return run
	}
	run.Method, run.Model, run.Data, run.Seed = keys["method.name"], keys["model.name"], keys["data.set"], keys["seed"]
	log, err := report.Metrics(dir)
	if err != nil {
		return run
	}
	for _, s := range log.Steps {
		run.Step, run.Speed, run.Left = s.Step, number(s.ImagesPerSecond), number(s.Seconds)
		run.Loss.add(s.Step, s.ModuleLoss)
		run.Cosine.add(s.Step, s.SGRCos)
	}
	for _, e := range log.Epochs {
		run.Step, run.Accuracy, run.Measure = max(run.Step, e.Step), number(e.TestAcc), e.MeasuredBy()
		run.Peak, run.Resting = max(run.Peak, e.PeakBytes), max(run.Resting, e.RestingBytes)
		run.Acc.add(e.Step, e.ModuleAcc)
	}
	run.Loss, run.Cosine, run.Acc = run.Loss.thin(mostPoints), run.Cosine.thin(mostPoints), run.Acc.thin(mostPoints)
	return run
}

// stands finds out whether the run is at work. Left is the seconds of a step so far.
func (r *Run) stands(dir string) {
	var start struct {
		Start *struct {
			Total int `json:"total"`
		} `json:"start"`
	}
	if text, err := disk.ReadFile(filepath.Join(dir, "manifest.json")); err == nil && json.Unmarshal(text, &start) == nil && start.Start != nil {
		r.Total = start.Start.Total
	}
	perStep := r.Left
	r.Left = number(math.NaN())
	r.State = Waiting
	if disk.OwnerOf(filepath.Join(dir, lockFile)) != nil {
		r.State = Running
		if r.Total > r.Step {
			r.Left = perStep * number(r.Total-r.Step)
		}
		return
	}
	var summary record.Summary
	text, err := disk.ReadFile(filepath.Join(dir, "summary.json"))
	if err != nil || json.Unmarshal(text, &summary) != nil {
		return
	}
	r.State, r.Why, r.Total = Done, summary.Stopped, max(r.Total, summary.Steps)
	if r.Why != "" {
		r.State = Ended
	}
	r.Peak, r.Resting = max(r.Peak, summary.PeakBytes), max(r.Resting, summary.RestingBytes)
}

// lockFile is what a process that works in a run folder holds.
const lockFile = ".lock"
