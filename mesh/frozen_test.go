package mesh_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/mesh"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/model"
)

// Frozen parts keep their bits on all ranks, running statistics included, and where modules lie on several the bits are those of
// lock-step: no rank waits for a gradient that a module at rest does not hand on.
func TestFrozenPartsOnSeveralRanks(t *testing.T) {
	oneThread(t)
	o := method.Options{Name: "sgr", Modules: 3, Lambda: 5, Reduction: "batch", Normalize: true}
	for _, freeze := range []string{"stem,layer1,heads.1", "layer2"} {
		start := func() *model.Model {
			return build(t, o, func(s *model.Spec) { s.Tune.Freeze = strings.Split(freeze, ",") })
		}
		one := start()
		before := weights(t, one, nil)
		want, err := train(one.Learner, 0, steps, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		kept := weights(t, one, nil)
		for _, shape := range []mesh.Shape{{Data: 1, Modules: 2}, {Data: 2, Modules: 1}, {Data: 2, Modules: 3}} {
			t.Run(fmt.Sprint(freeze, shape), func(t *testing.T) {
				errs := lead(t, mesh.Twins(shape, options(shape)), start, 1, func(m *model.Model, l *mesh.Leader) {
					got, err := train(l, 0, steps, shape.Data, 1)
					if err != nil {
						t.Fatal(err)
					}
					now := weights(t, m, l)
					if shape.Data == 1 && (fmt.Sprint(got) != fmt.Sprint(want) || !reflect.DeepEqual(now, kept)) {
						t.Errorf("outcomes\n%v, want\n%v, or other weights", got, want)
					}
					for name, was := range before {
						stays := slices.Equal(was, kept[name])
						if same := slices.Equal(was, now[name]); stays && !same {
							t.Errorf("%s is frozen and moved", name)
						}
					}
				})
				if err := errors.Join(errs...); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
