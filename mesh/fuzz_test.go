package mesh

import (
	"bytes"
	"math"
	"testing"

	"github.com/locus-learn/locus/local"
)

// What is accepted as a message comes back the same after writing once more.
func FuzzDecode(f *testing.F) {
	for _, m := range []message{
		{kind: trains, at: local.Tick{Step: 7, Done: 0.5, LR: 0.1}, epoch: 1, batch: 3, found: []record{{1, 7, 2.5, math.NaN(), 0.1, 5, 6}}},
		{kind: evaluates, rest: rest{Scores: []score{{Top1: 1, N: 2, Sums: []uint64{3}}}}},
		{kind: drains, rest: rest{Failure: &failure{Text: "x", Diverged: true, Module: 2}}},
		{kind: fetches, rest: rest{Module: 2, Index: 5, State: true}},
	} {
		b, err := m.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decode(b)
		if err != nil {
			return
		}
		once, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := decode(once)
		if err != nil {
			t.Fatal(err)
		}
		twice, err := again.encode()
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%x, then %x: %v", once, twice, err)
		}
	})
}
