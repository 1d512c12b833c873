package train

import (
	"strings"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/mesh"
)

// Several processes refuse images of several labels, whose measure needs all answers in one place.
func TestProcessesRefuseSeveralLabels(t *testing.T) {
	c := Defaults()
	c.Loss.Name = "bce"
	for _, shape := range []mesh.Shape{{Data: 2, Modules: 1}, {Data: 1, Modules: 2}} {
		if err := c.together(shape); !fault.Is(err) || !strings.Contains(err.Error(), "loss.name is bce") {
			t.Errorf("%v: %v", shape, err)
		}
	}
}
