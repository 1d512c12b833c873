package study

import (
	"fmt"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/record"
)

// samples remembers what runs learned from, to find two that should have learned from the same and did not: files of the set were
// changed between them.
type samples map[string]cellData // by how the set is read, and by that and the seed

type cellData struct {
	name string
	seed uint64
	data record.Data
}

// add is a fault where a run of an arm, by what it is called, has other samples than an earlier one that reads the set alike.
func (s samples) add(a *Arm, name string, seed uint64, data record.Data) error {
	o := a.Config.Data
	o.Workers, o.Broken = 0, 0
	alike := fmt.Sprintf("%+v", o)
	for _, key := range []string{alike, fmt.Sprint(alike, seed)} { // seeds may hold out others
		first, ok := s[key]
		if !ok && data != (record.Data{}) {
			s[key] = cellData{name, seed, data}
		}
		if part := data.Differ(first.data, seed == first.seed || o.Validation == 0); part != "" {
			return fault.New("%s and %s have other %s, though their recipes read the same set: its files were changed between them; "+
				"put these back, or give another --out and train all runs on the files as they are", first.name, name, part)
		}
	}
	return nil
}
