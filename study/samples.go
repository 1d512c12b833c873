package study

import (
	"cmp"
	"fmt"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/record"
)

// samples remembers what runs learned from, to find two that should have learned from the same and did not: files of the set were
// changed between them.
type samples struct {
	seen map[string][]seen // by how the set is read
}

type seen struct {
	name string
	seed uint64
	data record.Data
}

// add is a fault where a run of an arm, by what it is called, has other samples than an earlier one that reads the set alike. Which
// samples are held out for validation depends on the seed, so that across seeds less can be compared.
func (s *samples) add(a *Arm, name string, seed uint64, data record.Data) error {
	if data == (record.Data{}) { // of an earlier program
		return nil
	}
	o := a.Config.Data
	o.Workers, o.Broken = 0, 0
	key := fmt.Sprintf("%+v", o)
	if s.seen == nil {
		s.seen = map[string][]seen{}
	}
	for _, other := range s.seen[key] {
		if part := differ(data, other.data, seed == other.seed || a.Config.Data.Validation == 0); part != "" {
			return fault.New("%s and %s have other %s, though their recipes read the same set: its files were changed between them; "+
				"put these back, or give another --out and train all runs on the files as they are", other.name, name, part)
		}
	}
	s.seen[key] = append(s.seen[key], seen{name, seed, data})
	return nil
}

// differ names the part in which the samples of two runs differ; training and validation are compared where both held out the same.
func differ(a, b record.Data, alike bool) string {
	part := func(name, a, b string) string {
		if a == b {
			return ""
		}
		return name
	}
	text := cmp.Or(part("classes", a.Classes, b.Classes), part("test samples", a.Test, b.Test))
	if alike {
		text = cmp.Or(text, part("training samples", a.Train, b.Train), part("validation samples", a.Validation, b.Validation))
	}
	return text
}
