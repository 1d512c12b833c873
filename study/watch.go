package study

import (
	"bytes"
	"encoding/json"
	"io"
	"path/filepath"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/sample"
)

// Watcher is told of what happens, one call at a time. It must not call the runner.
type Watcher interface {
	Begin(c Cell, resumed bool)
	End(c Cell, o *Outcome)
}

// Progress is how far an arm is.
type Progress struct {
	Arm                   *Arm
	Done, Failed, Running int
	Left                  int // neither done nor begun
	Step, Steps           int // done in the runs under way, and in all of one run
	StepSeconds           float64
	Seconds               float64 // of training that is left of the arm, one run after the other
	Metric                sample.Sample
}

// Progress tells how far all arms are, and how many seconds of training are left in all, one run after the other; 0 as long
// as no run has measured a step. It may be called while Run works.
func (r *Runner) Progress() (rows []Progress, seconds float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var measured []float64
	for i := range r.Study.Arms {
		p := r.progress(&r.Study.Arms[i])
		if p.StepSeconds > 0 {
			measured = append(measured, p.StepSeconds)
		}
		rows = append(rows, p)
	}
	mean := sample.Of(measured)
	for i := range rows {
		p := &rows[i]
		if p.StepSeconds == 0 && mean.N > 0 { // the best guess there is
			p.StepSeconds = mean.Mean
		}
		p.Seconds = p.StepSeconds * float64(p.Steps*(p.Left+p.Running)-p.Step)
		seconds += p.Seconds
	}
	return rows, seconds
}

func (r *Runner) progress(a *Arm) Progress {
	p := Progress{Arm: a}
	if a.looked != nil {
		p.Steps = a.looked.Steps
	}
	var values []float64
	for _, seed := range r.Study.Seeds {
		c := Cell{a, seed}
		o, running := r.outcomes[c.Name()], r.running[c.Name()]
		switch {
		case running:
			p.Running++
			step, took := lastStep(c.Dir(r.Out))
			p.Step += min(step, p.Steps)
			if took > 0 {
				p.StepSeconds = took
			}
		case o == nil:
			p.Left++
		case o.Failed != "":
			p.Failed++
		default:
			p.Done++
			values = append(values, r.Study.Metric.of(o.Summary))
			if p.StepSeconds == 0 {
				p.StepSeconds = o.Summary.SecondsPerStep
			}
		}
	}
	p.Metric = sample.Of(values)
	return p
}

// lastStep reads from the end of a run's record how far it is, and how long a step took. The record may be growing.
func lastStep(dir string) (step int, seconds float64) {
	f, size, err := disk.OpenSized(filepath.Join(dir, "metrics.jsonl"))
	if err != nil {
		return 0, 0
	}
	defer f.Close()
	const end = 32 << 10 // bytes; a line of sixteen modules has 2 KiB
	text, _ := io.ReadAll(io.NewSectionReader(f, max(0, size-end), end))
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		var e struct {
			Event   string  `json:"event"`
			Step    int     `json:"step"`
			Seconds float64 `json:"seconds"`
		}
		if json.Unmarshal(line, &e) != nil {
			continue
		}
		step = max(step, e.Step)
		if e.Event == "step" {
			seconds = e.Seconds
		}
	}
	return step, seconds
}
