package local

import (
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/torch/dist"
)

// exchange adds up numbers over the ranks of a module in the middle of a step, where all of them wait for the sums. Each rank
// comes to the same exchanges in the same order: nothing that a rank finds on its own part may decide what it does next.
type exchange struct {
	ranks  dist.Group
	peers  *torch.Peers // of batch statistics; nil where each part has its own
	failed error        // the first sum that has failed
}

func newExchange(ranks dist.Group, whole bool) *exchange {
	e := &exchange{ranks: ranks}
	if whole {
		e.peers = torch.NewPeers(ranks.Size(), e.sum)
	}
	return e
}

// free releases what the exchange holds. A nil exchange holds nothing.
func (e *exchange) free() {
	if e != nil && e.peers != nil {
		e.peers.Free()
	}
}

// sum overwrites numbers by their sums over all ranks.
func (e *exchange) sum(numbers []float64) (err error) {
	defer func() {
		if err != nil && e.failed == nil {
			e.failed = err
		}
	}()
	defer torch.Catch(&err)
	s := torch.NewScopeOn(torch.CPU, torch.NoGrad)
	defer s.Close()
	flat := s.FromDoubles(numbers, int64(len(numbers)))
	if err := e.ranks.Sum(flat).Wait(); err != nil {
		return err
	}
	copy(numbers, flat.Float64s())
	return nil
}

// sums returns the sums of numbers over all ranks. It panics as operations of package torch do.
func (e *exchange) sums(numbers ...float64) []float64 {
	if err := e.sum(numbers); err != nil {
		panic(&torch.Error{Op: "sum", Text: err.Error()})
	}
	return numbers
}

// most returns the largest of the ranks' numbers.
func (e *exchange) most(number float64) float64 {
	all := make([]float64, e.ranks.Size())
	all[e.ranks.Rank()] = number
	for _, other := range e.sums(all...) {
		number = max(number, other)
	}
	return number
}

// cause replaces an error of the engine's by that of the exchange which it came of.
func (e *exchange) cause(err *error) {
	if e != nil && *err != nil && e.failed != nil {
		*err = e.failed
	}
}
