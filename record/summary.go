package record

import (
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
)

// Summary holds the final numbers of a run, stored as summary.json.
type Summary struct {
	Name           string    `json:"name"`
	Method         string    `json:"method"`
	Model          string    `json:"model"`
	Dataset        string    `json:"dataset"`
	Subset         bool      `json:"subset"` // the data had fewer records than the official set
	Seed           uint64    `json:"seed"`
	Modules        int       `json:"modules"`
	Cuts           []string  `json:"cuts,omitzero"` // names of the blocks that end all modules but the last
	Steps          int       `json:"steps"`
	Epochs         int       `json:"epochs"`
	TestAcc        float64   `json:"test_acc"`             // last module
	TestTop5       float64   `json:"test_top5"`            // last module
	TestImages     int       `json:"test_images,omitzero"` // that accuracies are of; 0 in runs of earlier programs
	ModuleAcc      []float64 `json:"module_acc"`           // each head, or each module's features
	Measure        string    `json:"measure,omitzero"`     // what accuracies are: see Epoch
	Scores         Scores    `json:"scores,omitzero"`      // what else heads were measured by
	EMAAcc         []float64 `json:"ema_acc,omitzero"`     // the same of the averaged weights
	KNN            bool      `json:"knn,omitzero"`         // training used no labels: the accuracies above are those of a vote of nearest neighbours
	ValAcc         *float64  `json:"val_acc,omitzero"`     // last module on the validation images; nil without any
	ProbeAcc       []float64 `json:"probe_acc,omitzero"`   // linear probe behind each module, where training used no labels
	ProbeTop5      []float64 `json:"probe_top5,omitzero"`
	PeakBytes      int64     `json:"peak_bytes"`
	RestingBytes   int64     `json:"resting_bytes"`
	Ranks          []Rank    `json:"ranks,omitzero"`   // where processes have a part of the modules each: their memory, in order
	Seconds        float64   `json:"seconds"`          // the whole run, evaluation included
	SecondsPerStep float64   `json:"seconds_per_step"` // median
	Threads        int       `json:"threads"`
	Precision      string    `json:"precision"`
	Stopped        string    `json:"stopped,omitzero"` // why the run ended before its last step, "" if it did not
	Data           Data      `json:"data,omitzero"`    // what it learned from and was tested on; empty in runs of earlier programs
}

// Data tells the samples of a run from others: parts that are equal hold the same samples in the same order.
type Data struct {
	Classes    string `json:"classes"`
	Train      string `json:"train"`
	Validation string `json:"validation"`
	Test       string `json:"test"`
}

// Differ names the part in which a run's samples differ from those of another run whose recipe reads its set alike; "" if they agree, or
// if one is of an earlier program. Which samples are held out for validation depends on the seed: heldOut says whether both runs held out
// the same ones, or none. Without, training and validation samples are not compared.
func (d Data) Differ(other Data, heldOut bool) string {
	if d == (Data{}) || other == (Data{}) {
		return ""
	}
	part := func(name, a, b string, compared bool) string {
		if a == b || !compared {
			return ""
		}
		return name
	}
	return cmp.Or(part("classes", d.Classes, other.Classes, true), part("test samples", d.Test, other.Test, true),
		part("training samples", d.Train, other.Train, heldOut), part("validation samples", d.Validation, other.Validation, heldOut))
}

// Rank is the memory of a process that trained a part of the modules, while it trained.
type Rank struct {
	PeakBytes    int64 `json:"peak_bytes"`
	RestingBytes int64 `json:"resting_bytes"`
}

// MarshalJSON writes NaN and the infinities, the numbers of a run that diverged, as null.
func (s Summary) MarshalJSON() ([]byte, error) { return encode("", s) }

// UnmarshalJSON reads null numbers as NaN.
func (s *Summary) UnmarshalJSON(text []byte) error { return decode(text, s) }

// WriteJSON stores v as indented JSON. The file at path is replaced in one piece: a crash leaves the old one or the new one.
func WriteJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return replaceFile(path, append(text, '\n'))
}

func replaceFile(path string, content []byte) error {
	if err := disk.WriteFile(path, content); err != nil {
		cause, _ := disk.Cause(err)
		return fault.New("cannot write %s: %w", path, cause)
	}
	return nil
}
