package dist

import (
	"fmt"

	"github.com/locus-learn/locus/torch"
)

// Alone is the group of one process.
type Alone struct{}

// Rank implements [Group].
func (Alone) Rank() int { return 0 }

// Size implements [Group].
func (Alone) Size() int { return 1 }

// Sum implements [Group]: the sum of one.
func (Alone) Sum(torch.Tensor) Pending { return done{} }

// Broadcast implements [Group].
func (Alone) Broadcast(_ torch.Tensor, from int) Pending { return done{among(from, 1)} }

// Send implements [Group]. There is nobody to send to.
func (Alone) Send(_ Parcel, to, _ int) error { return others(to, 0, 1) }

// Receive implements [Group].
func (Alone) Receive(from, _ int) (Parcel, error) { return Parcel{}, others(from, 0, 1) }

// Traffic implements [Group].
func (Alone) Traffic() Traffic { return Traffic{} }

// Close implements [Group].
func (Alone) Close(error) {}

// done is what needs no waiting.
type done struct{ err error }

// Wait implements [Pending].
func (d done) Wait() error { return d.err }

// among returns an error unless there is such a rank.
func among(rank, size int) error {
	if rank < 0 || rank >= size {
		return fmt.Errorf("dist: there is no rank %d: must be 0 to %d", rank, size-1)
	}
	return nil
}

// others returns an error unless there is such a rank and it is another one.
func others(rank, own, size int) error {
	if rank == own {
		return fmt.Errorf("dist: rank %d cannot send to or receive from itself", rank)
	}
	return among(rank, size)
}
