// Package bench measures training steps: time, as a distribution, and memory, exactly.
package bench

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/plan"
	"github.com/locus-learn/locus/torch"
)

// Options say what is measured. The rest, heads for instance, comes from the spec given to [Run].
type Options struct {
	Methods []string // in the order of the rows
	Batch   int
	LR      float64
	Steps   int // counted steps of each method; in a pipeline, turns of several steps
	Warmup  int // the same before, not counted

	Progress func(done, total int) // is told after every turn; may be nil
}

// Result is one row. Times are seconds.
type Result struct {
	Method          string       `json:"method"`
	Model           string       `json:"model"`
	Modules         int          `json:"modules"`
	Pipeline        int          `json:"pipeline,omitempty"` // batches in flight
	Cuts            []string     `json:"cuts"`
	Batch           int          `json:"batch"`
	Image           int          `json:"image"`
	Precision       string       `json:"precision"`
	Device          torch.Device `json:"device,omitzero"`  // nothing on the CPU
	Graphs          bool         `json:"graphs,omitempty"` // steps are launched as recorded
	Threads         int          `json:"threads"`
	StepSeconds     float64      `json:"step_seconds"` // median
	StepSecondsMin  float64      `json:"step_seconds_min"`
	StepSecondsMax  float64      `json:"step_seconds_max"`
	ImagesPerSecond float64      `json:"images_per_second"`
	PeakBytes       int64        `json:"peak_bytes"`       // of live tensors during a step, the batch included
	RestingBytes    int64        `json:"resting_bytes"`    // from shapes: parameters, buffers, optimizer state
	ActivationBytes int64        `json:"activation_bytes"` // peak − resting
	PeakRSS         int64        `json:"-"`                // of the process, so far: it never falls from row to row

	// Where only some modules are in memory (method.resident). Activations are then not told apart.
	Resident     int   `json:"resident,omitempty"`
	Visit        int   `json:"visit,omitempty"`
	ReadBytes    int64 `json:"read_bytes,omitempty"` // a step
	WrittenBytes int64 `json:"written_bytes,omitempty"`
}

// Run measures every method on the same synthetic batch. Methods take turns step by step, so that a drift of the
// machine's speed meets all alike; each has its memory measured alone, before. When ctx ends, so does Run, after the
// step under way: with the error come the rows of what was measured by then.
func Run(ctx context.Context, spec model.Spec, o Options) ([]Result, error) {
	defer torch.Pin()()
	if o.Batch < 1 || o.Steps < 1 || o.Warmup < 0 {
		return nil, fault.New("bench: batches of %d, %d steps behind %d: must be at least 1, 1 and 0", o.Batch, o.Steps, o.Warmup)
	}
	var rows []Result
	var subjects []*subject
	defer func() {
		for _, s := range subjects {
			s.free()
		}
	}()
	var specs []model.Spec             // one a method: automatic cuts are chosen once
	for _, method := range o.Methods { // so that a mistake does not wait for the measuring of other methods
		of := spec
		of.Method.Name = method
		of, err := plan.Settle(of, o.Batch, nil)
		if err != nil {
			return nil, err
		}
		m, err := model.New(of)
		if err != nil {
			return nil, err
		}
		m.Free()
		specs = append(specs, of)
	}
	for _, of := range specs {
		if err := ctx.Err(); err != nil {
			return rows, err
		}
		row, err := measureMemory(of, o)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	for _, of := range specs {
		s, err := newSubject(of)
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, s)
	}
	stopped, err := o.turns(ctx, subjects)
	if err != nil {
		return nil, err
	}
	for i, s := range subjects {
		if len(s.times) == 0 {
			continue
		}
		slices.Sort(s.times)
		r := &rows[i]
		r.StepSeconds, r.StepSecondsMin, r.StepSecondsMax = s.times[len(s.times)/2], s.times[0], s.times[len(s.times)-1]
		r.ImagesPerSecond = float64(o.Batch) / r.StepSeconds
	}
	return rows, stopped
}

// turns has the subjects take steps in turns. When ctx ends, its error is what stopped them.
func (o Options) turns(ctx context.Context, subjects []*subject) (stopped, err error) {
	for i := range o.Warmup + o.Steps {
		for _, s := range subjects {
			if ctx.Err() != nil {
				return ctx.Err(), nil
			}
			took, err := s.train(o)
			if err != nil {
				return nil, err
			}
			if i >= o.Warmup {
				s.times = append(s.times, took)
			}
		}
		if o.Progress != nil {
			o.Progress(i+1, o.Warmup+o.Steps)
		}
	}
	return nil, nil
}

// measureMemory takes two steps with nothing else alive and reads the meter on the second, when all state exists.
func measureMemory(spec model.Spec, o Options) (Result, error) {
	before := spec.Device.Memory().Live
	s, err := newSubject(spec)
	if err != nil {
		return Result{}, err
	}
	defer s.free()
	m := s.model
	var read, written int64
	turns := 2
	if spec.Graphs {
		turns = recorded
	}
	for range turns {
		spec.Device.ResetPeak()
		read, written = s.traffic()
		if _, err := s.train(o); err != nil {
			return Result{}, err
		}
	}
	r := Result{
		Method: spec.Method.Name, Model: spec.Net.Name, Modules: len(m.Modules()), Pipeline: spec.Method.Pipeline,
		Cuts: append([]string{}, m.Cuts()...), Batch: o.Batch, Image: spec.Input.Shape.H,
		Precision: precision(spec), Device: spec.Device, Threads: torch.Threads(),
		PeakBytes: spec.Device.Memory().Peak - before, RestingBytes: m.RestingBytes(), PeakRSS: peakRSS(),
	}
	r.ActivationBytes = r.PeakBytes - r.RestingBytes
	if learner, ok := m.Learner.(*local.Recorded); ok {
		if err := learner.Refused(); err != nil {
			return Result{}, fault.New("bench: graphs is true: must be false for method %s here, whose steps are not recorded: %w", r.Method, err)
		}
		r.Graphs = learner.Launched() > 0
	}
	if m.Streams() {
		nowRead, nowWritten := s.traffic()
		n := int64(s.turn())
		r.Resident, r.Visit, r.ActivationBytes = m.Resident, m.Visit, 0
		r.ReadBytes, r.WrittenBytes = (nowRead-read)/n, (nowWritten-written)/n
	}
	return r, nil
}

// recorded is how many steps it takes until one has been recorded and launched. What that takes is allocated while it is recorded.
const recorded = 4

// precision is what a recipe calls the type of activations and the arithmetic on them.
func precision(s model.Spec) string {
	switch {
	case s.DType == torch.BFloat16:
		return "bf16"
	case s.Arithmetic.TF32:
		return "tf32"
	}
	return "fp32"
}

// peakRSS returns the process's highest resident size, or 0 where the system does not tell.
func peakRSS() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}
