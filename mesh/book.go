package mesh

import (
	"math"

	"github.com/locus-learn/locus/local"
)

// book puts together what the modules of all ranks have found at each step.
type book struct {
	modules int
	pages   []*page // in the order of the steps
}

type page struct {
	local.Outcome
	missing int
}

// begin opens a page.
func (b *book) begin(at local.Tick) {
	p := &page{Outcome: local.Outcome{Tick: at, Stats: make([]local.Stats, b.modules)}, missing: b.modules}
	for i := range p.Stats {
		p.Stats[i].Loss, p.Stats[i].SGR, p.Stats[i].Cos = math.NaN(), math.NaN(), math.NaN()
	}
	b.pages = append(b.pages, p)
}

// note enters records. Those of steps that are not open are dropped.
func (b *book) note(found []record) {
	for _, r := range found {
		for _, p := range b.pages {
			if p.Step == r.step && r.module >= 1 && r.module <= b.modules {
				s := &p.Stats[r.module-1]
				s.Loss, s.SGR, s.Cos, s.Busy, s.Wait = r.loss, r.sgr, r.cos, r.busy, r.wait
				p.missing--
			}
		}
	}
}

// complete takes out the steps on which all modules have reported, up to the first one that is not complete.
func (b *book) complete() (left []local.Outcome) {
	for len(b.pages) > 0 && b.pages[0].missing <= 0 {
		left = append(left, b.pages[0].Outcome)
		b.pages = b.pages[1:]
	}
	return left
}
