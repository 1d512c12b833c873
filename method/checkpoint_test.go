package method_test

import (
	"testing"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/method"
)

func TestCheckpointIsAWordOrANumber(t *testing.T) {
	for value, good := range map[string]bool{
		"": true, "none": true, "blocks": true, "sqrt": true, "1": true, "12": true, "4096": true,
		"0": false, "-1": false, "4097": false, "some": false, "1.5": false,
	} {
		_, _, err := method.Lookup(method.Options{Name: "sgr", Checkpoint: value})
		if good != (err == nil) || err != nil && !fault.Is(err) {
			t.Errorf("%q: %v", value, err)
		}
	}
}
