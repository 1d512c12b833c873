package study

import (
	"fmt"
	"math"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/record"
	"github.com/locus-learn/locus/train"
)

// Metric is what arms are compared by, an accuracy in percent, on the test set but for Validation.
type Metric string

// The metrics: of the last module's head after the last epoch, of the best head, of the averaged weights' last head, and
// of a linear probe behind the last module, where training used no labels. Validation is that of the last module's head on
// images held out of the training set, by which settings are chosen.
const (
	Last       Metric = "last"
	Best       Metric = "best"
	EMA        Metric = "ema"
	Probe      Metric = "probe"
	Validation Metric = "validation"
)

var metrics = []Metric{Last, Best, EMA, Probe, Validation}

// UnmarshalYAML implements yaml's interface.
func (m *Metric) UnmarshalYAML(n *yaml.Node) error {
	*m = Metric(n.Value)
	if !slices.Contains(metrics, *m) {
		return fault.New("line %d: metric is %s: must be one of %s", n.Line, show.Name(n.Value), "last, best, ema, probe, validation")
	}
	return nil
}

// of reads the metric from a run's summary; NaN where the run does not have it.
func (m Metric) of(s record.Summary) float64 {
	switch m {
	case Best:
		return best(s)
	case EMA:
		return tail(s.EMAAcc)
	case Probe:
		return tail(s.ProbeAcc)
	case Validation:
		if s.ValAcc == nil {
			return math.NaN()
		}
		return *s.ValAcc
	}
	return s.TestAcc
}

// found is a fault if an arm's runs will not have the metric.
func (m Metric) found(a *Arm, look train.Survey) error {
	needs := ""
	switch {
	case m == EMA && a.Config.Optim.EMA == 0:
		needs = "optim.ema above 0"
	case m == Validation && look.Validation == 0:
		needs = "data.validation above 0"
	case m == Probe && (look.Views < 2 || a.Config.Probe.Epochs == 0):
		needs = "a method that needs no labels, such as barlow, and probe.epochs above 0"
	}
	if needs == "" {
		return nil
	}
	return fault.New("arm %s: metric is %s, which its runs will not have: it needs %s", a.Name, string(m), needs)
}

// best is the accuracy of a run's best head; those that give no answers have none.
func best(s record.Summary) float64 {
	most := math.NaN()
	for _, acc := range s.ModuleAcc {
		if math.IsNaN(most) || acc > most {
			most = acc
		}
	}
	return most
}

func tail(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	return values[len(values)-1]
}

// String says it in words, for the head of a table.
func (m Metric) String() string {
	words := map[Metric]string{Last: "last head", Best: "best head", EMA: "last head, averaged weights", Probe: "linear probe", Validation: "last head on validation images"}
	if w, ok := words[m]; ok {
		return w
	}
	return fmt.Sprintf("metric %q", string(m))
}
