package bench

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/internal/sniff"
)

// Change is how a row differs from the same row of an earlier run.
type Change struct{ Now, Then Result }

// Against pairs rows with those of an earlier run that measured the same: method, model, cuts, batch and so on. A row
// that the earlier run does not have is left out; if that leaves none, it is a fault.
func Against(now, then []Result) ([]Change, error) {
	var changes []Change
	for _, n := range now {
		for _, t := range then {
			if reflect.DeepEqual(n.question(), t.question()) {
				changes = append(changes, Change{Now: n, Then: t})
				break
			}
		}
	}
	if len(changes) == 0 {
		return nil, fault.New("the earlier result has none of these rows: method, model, cuts, batch, image, precision and threads must be the same")
	}
	return changes, nil
}

// question is a row without its answers.
func (r Result) question() Result {
	r.StepSeconds, r.StepSecondsMin, r.StepSecondsMax, r.ImagesPerSecond = 0, 0, 0, 0
	r.PeakBytes, r.RestingBytes, r.ActivationBytes, r.PeakRSS = 0, 0, 0, 0
	return r
}

// Slower reports whether the median step takes longer by more than either run's own steps differ.
func (c Change) Slower() bool {
	spread := max(c.Now.StepSecondsMax-c.Now.StepSecondsMin, c.Then.StepSecondsMax-c.Then.StepSecondsMin)
	return c.Now.StepSeconds-c.Then.StepSeconds > spread
}

// Larger reports whether the peak of memory has grown, be it by a byte: that figure is exact.
func (c Change) Larger() bool { return c.Now.PeakBytes > c.Then.PeakBytes }

// Regressed reports whether any row is slower or larger.
func Regressed(changes []Change) bool {
	for _, c := range changes {
		if c.Slower() || c.Larger() {
			return true
		}
	}
	return false
}

// String says it in one line.
func (c Change) String() string {
	var verdicts []string
	if c.Slower() {
		verdicts = append(verdicts, "slower")
	}
	if c.Larger() {
		verdicts = append(verdicts, "more memory")
	}
	if len(verdicts) == 0 {
		verdicts = []string{"no regression"}
	}
	return fmt.Sprintf("%s, K=%d: %.4f → %.4f s/step (%s), peak %.1f → %.1f MiB (%s): %s", c.Now.Method, c.Now.Modules,
		c.Then.StepSeconds, c.Now.StepSeconds, percent(c.Now.StepSeconds, c.Then.StepSeconds),
		mebibytes(c.Then.PeakBytes), mebibytes(c.Now.PeakBytes), percent(float64(c.Now.PeakBytes), float64(c.Then.PeakBytes)),
		strings.Join(verdicts, ", "))
}

func percent(now, then float64) string { return fmt.Sprintf("%+.1f %%", 100*(now/then-1)) }

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// Read returns the rows of a file that `locus bench --json` has written.
func Read(path string) ([]Result, error) {
	data, err := disk.ReadFile(path)
	if err != nil {
		cause, _ := disk.Cause(err)
		return nil, fault.New("the earlier result %s cannot be read: %w", show.Name(path), cause)
	}
	var rows []Result
	if err := json.Unmarshal(data, &rows); err != nil {
		if what := sniff.What(data); what != "" && !strings.Contains(what, "JSON") {
			return nil, fault.New("%s is no result of locus bench --json: it %s", show.Name(path), what)
		}
		return nil, fault.New("%s is no result of locus bench --json: %w", show.Name(path), err)
	}
	for i, r := range rows {
		if r.Method == "" || r.StepSeconds <= 0 || r.PeakBytes <= 0 {
			return nil, fault.New("%s is no result of locus bench --json: row %d of %d has no method, time or peak", show.Name(path), i+1, len(rows))
		}
	}
	return rows, nil
}
