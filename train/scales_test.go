package train_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"testing"

	"github.com/locus-learn/locus/train"
)

// Weights of classes, the focal loss and balanced batches change what is learned, each and with every kind of method; a run
// that is resumed goes on with them bit for bit.
func TestClassesThatCountDifferently(t *testing.T) {
	b := newWorkbench(t)
	for _, method := range []string{"bp", "sgr", "infopro"} {
		plain := []string{"threads=1", "method.name=" + method, "data.limit=37"} // not as many of each class
		b.must(t, method, nil, plain...)
		for name, more := range map[string][]string{
			"weights":  {"loss.class_weights=balanced"},
			"numbers":  {"loss.class_weights=1,2,1,1,1,1,1,3,1,0.5", "data.mixup=0.2"},
			"focal":    {"loss.name=focal", "method.label_smoothing=0.1"},
			"balanced": {"data.balanced=true"},
		} {
			sets := append(append([]string{}, plain...), more...)
			whole, parts := method+"-"+name, method+"-"+name+"-parts"
			b.must(t, whole, nil, sets...)
			if maps.EqualFunc(b.weights(t, whole), b.weights(t, method), bytes.Equal) {
				t.Errorf("%s changes nothing", whole)
			}
			ctx, cancel := context.WithCancel(t.Context())
			s := newSpy()
			s.at, s.fire = 6, cancel
			if _, err := b.run(t, ctx, parts, s, false, sets...); !errors.Is(err, train.ErrInterrupted) {
				t.Fatal(err)
			}
			if _, err := b.run(t, t.Context(), parts, nil, true, sets...); err != nil {
				t.Fatal(err)
			}
			if !maps.EqualFunc(b.weights(t, parts), b.weights(t, whole), bytes.Equal) {
				t.Errorf("%s: resumed, the weights differ", whole)
			}
		}
	}
}
