// Package record keeps what happened in a training run: typed events, and the sinks that take them.
//
// A run sends one Start, then Steps, Diagnoses and Epochs, then closes its sink. Sinks write metrics.jsonl (OpenJSONL), TensorBoard
// event files (OpenTensorBoard) and progress for people (NewProgress); Tee feeds several at once. When a run is over, PlotRun,
// PlotDiagnosis, PlotFigures and PlotCompare draw it, Table prints it beside others, and WriteJSON stores its Env and Summary.
//
// Everywhere: steps and epochs count from 1, what has been done so far; accuracies are percent; times are seconds; memory is
// bytes; a list with one entry a module starts at the module next to the input.
package record

import (
	"cmp"
	"errors"
	"maps"
	"slices"
)

// Start says what a run is about to do.
type Start struct {
	Name          string // of the run
	Method        string // of training, such as "sgr"
	Steps         int    // in the whole run
	StepsPerEpoch int
	First         int // steps already done by the checkpoint that the run resumes, 0 for a fresh run
}

// Step is what one training step measured.
type Step struct {
	Step            int       `json:"step"`
	Epoch           int       `json:"epoch"`                // the epoch that the step belongs to
	Loss            float64   `json:"loss"`                 // of the last module that trained
	ModuleLoss      []float64 `json:"module_loss"`          // NaN for a module that did not train
	LR              float64   `json:"lr"`                   // learning rate
	SGRLoss         []float64 `json:"sgr_loss,omitzero"`    // reconciliation term per module; NaN where there is no neighbour
	SGRCos          []float64 `json:"sgr_cos,omitzero"`     // mean cosine of δ_now and δ_prev per module; NaN likewise
	ModuleBusy      []float64 `json:"module_busy,omitzero"` // seconds that each module worked on the batch
	ModuleWait      []float64 `json:"module_wait,omitzero"` // seconds that each module's worker waited for the batch; pipelines only
	Seconds         float64   `json:"seconds"`              // mean time of a step since the previous event
	ImagesPerSecond float64   `json:"images_per_second"`
}

// Epoch is what one pass over the training set measured, the evaluation after it included.
type Epoch struct {
	Epoch           int       `json:"epoch"`
	Step            int       `json:"step"`               // steps done at its end
	TrainLoss       float64   `json:"train_loss"`         // mean over the epoch, last module that trained
	TestAcc         float64   `json:"test_acc"`           // last module
	TestTop5        float64   `json:"test_top5"`          // last module
	TestLoss        *float64  `json:"test_loss,omitzero"` // cross-entropy of the last module; nil where nobody asked for it
	TrainAcc        *float64  `json:"train_acc,omitzero"` // last module on training images, not augmented; likewise
	ModuleAcc       []float64 `json:"module_acc"`         // each head on the test set, NaN for one that gives no answers; k-NN accuracy of each module where training used no labels
	ModuleTop5      []float64 `json:"module_top5"`
	Scores          Scores    `json:"scores,omitzero"`  // what else heads are measured by, on the test set
	Measure         string    `json:"measure,omitzero"` // what the accuracies are: "" for top-1, "mAP" for mean average precision, where images have any number of classes
	EMAAcc          []float64 `json:"ema_acc,omitzero"` // as ModuleAcc, of the averaged weights with the running statistics of the last ones; none where no averages are kept
	ValAcc          *float64  `json:"val_acc,omitzero"` // last module on the validation set; nil without one
	LR              float64   `json:"lr"`               // of the epoch's last step
	SGRLoss         []float64 `json:"sgr_loss,omitzero"`
	SGRCos          []float64 `json:"sgr_cos,omitzero"`
	ModuleBusy      []float64 `json:"module_busy,omitzero"` // means over the epoch's steps
	ModuleWait      []float64 `json:"module_wait,omitzero"`
	Seconds         float64   `json:"seconds"` // of training, evaluation left out
	ImagesPerSecond float64   `json:"images_per_second"`
	PeakBytes       int64     `json:"peak_bytes"`    // peak of live tensor bytes
	RestingBytes    int64     `json:"resting_bytes"` // what lives on between steps, computed from shapes
}

// measureOf names what the accuracies of epochs are.
func measureOf(epochs []Epoch) string {
	if len(epochs) == 0 {
		return accuracy
	}
	return epochs[0].MeasuredBy()
}

// MeasuredBy names what the accuracies of the epoch are: "accuracy", or what [Epoch] says of Measure.
func (e Epoch) MeasuredBy() string { return cmp.Or(e.Measure, accuracy) }

// MeasuredBy names what the accuracies of the run are: "accuracy", or what [Epoch] says of Measure.
func (s Summary) MeasuredBy() string { return cmp.Or(s.Measure, accuracy) }

// Titled is what a title that begins with a measure's name begins with.
func Titled(measure string) string {
	if measure == accuracy {
		return "Accuracy"
	}
	return measure
}

// accuracy is what heads are measured by unless a run says something else.
const accuracy = "accuracy"

// Scores are measures of heads' answers by their names, such as "perplexity": a value a module, NaN for one without answers.
// Top-1 and top-5 accuracy are not among them, as they have fields of their own.
type Scores map[string][]float64

// names lists the measures in the order of the alphabet.
func (s Scores) names() []string { return slices.Sorted(maps.Keys(s)) }

// Diagnosis is what was measured around one step on a held-out batch, a value a module; NaN where there is nothing to measure.
// x_k are the features that module k puts out, δ = ∂L_{k+1}/∂x_k and r = ∂L_k/∂x_k. docs/diagnostics.md has the formulas.
type Diagnosis struct {
	Step       int       `json:"step"` // the step whose update ShiftTrain and Shift belong to; all else is measured in front of it
	Epoch      int       `json:"epoch"`
	Loss       []float64 `json:"loss"`           // L_k
	SGRLoss    []float64 `json:"sgr_loss"`       // S(δ, r) with the module before
	SGRCos     []float64 `json:"sgr_cos"`        // mean cosine of δ and r, likewise
	Epsilon    []float64 `json:"epsilon"`        // ‖∇_θk L_K − ∇_θk L_k‖
	GlobalNorm []float64 `json:"global_norm"`    // ‖∇_θk L_K‖
	GlobalCos  []float64 `json:"global_cos"`     // cosine of ∇_θk L_k and ∇_θk L_K
	Gap        []float64 `json:"gap"`            // ‖∇_θk L_{k+1} − ∇_θk L_k‖
	Bound      []float64 `json:"bound"`          // ‖J‖·‖δ − r‖
	Within     []float64 `json:"within_between"` // scatter within classes over that between them
	Shift      []float64 `json:"shift"`          // ΔL_k by the update of the modules before
	ShiftTrain []float64 `json:"shift_train"`    // the same on the batch that the update learned from
}

// Sink takes the events of one run, in order and from one goroutine. The events stay the caller's; a sink copies what it keeps.
//
// An error means that the event is not written yet, for example because the disk is full. The sink keeps it and writes it in
// front of the next one; Close returns an error if something is missing at the end. So training can go on.
type Sink interface {
	Start(Start) error
	Step(Step) error
	Epoch(Epoch) error
	Diagnosis(Diagnosis) error
	// Close writes what is pending and frees the sink, which must not be used after.
	Close() error
}

// Tee returns a sink that passes every event to all sinks, also when one of them fails, and owns them: its Close closes them.
func Tee(sinks ...Sink) Sink { return tee(sinks) }

type tee []Sink

func (t tee) Start(s Start) error { return t.each(func(k Sink) error { return k.Start(s) }) }
func (t tee) Step(s Step) error   { return t.each(func(k Sink) error { return k.Step(s) }) }
func (t tee) Epoch(e Epoch) error { return t.each(func(k Sink) error { return k.Epoch(e) }) }
func (t tee) Diagnosis(d Diagnosis) error {
	return t.each(func(k Sink) error { return k.Diagnosis(d) })
}
func (t tee) Close() error { return t.each(Sink.Close) }

func (t tee) each(send func(Sink) error) error {
	var failed []error
	for _, sink := range t {
		failed = append(failed, send(sink))
	}
	return errors.Join(failed...)
}
