package train

import (
	"testing"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
)

// A training that streams has a visit's batches read while it trains on those of the last one, as far as there is memory to
// spare for them. A visit would otherwise begin with waiting for its own.
func TestReadAhead(t *testing.T) {
	for _, c := range []struct {
		resident, batch, visit int
		signals                string
		want                   int
	}{
		{0, 16, 8, "memory", 0}, // all modules take one batch after the other
		{1, 16, 8, "memory", 8},
		{2, 16, 3, "memory", 3},
		{1, 16, 8, "spill", 0},
		{1, 16, 4096, "memory", mostReadAhead / (16 * 3 * 32 * 32)},
		{1, 16384, 8, "memory", 0}, // 48 MiB each
	} {
		o := Defaults()
		o.Model.Name, o.Model.Width, o.Method.Name, o.Method.Modules, o.Data.Batch = "resnet32", 4, "layerwise", 3, c.batch
		o.Method.Resident, o.Method.Visit, o.Method.Signals = c.resident, c.visit, c.signals
		info := data.Info{Shape: data.Shape{C: 3, H: 32, W: 32}, Mean: []float64{0.5, 0.5, 0.5}}
		m, err := NewModel(o, model.Input{Shape: nn.Shape{C: 3, H: 32, W: 32}, Classes: 10}, false)
		if err != nil {
			t.Fatal(err)
		}
		if got := readAhead(m, info); got != c.want {
			t.Errorf("%d in memory, batch %d, visit %d, signals in %s: %d batches, want %d", c.resident, c.batch, c.visit, c.signals, got, c.want)
		}
		m.Free()
	}
}
