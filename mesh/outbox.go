package mesh

import (
	"sync"

	"github.com/locus-learn/locus/torch/dist"
)

// outbox sends parcels to one rank, in a goroutine of its own, so that a rank works while its last batch travels.
type outbox struct {
	parcels chan dist.Parcel
	done    sync.WaitGroup
}

func newOutbox(g dist.Group, to, lane, room int) *outbox {
	o := &outbox{parcels: make(chan dist.Parcel, room)}
	o.done.Go(func() {
		broken := false
		for p := range o.parcels {
			broken = broken || g.Send(p, to, lane) != nil // whoever receives has found that, too
			p.Free()
		}
	})
	return o
}

// put takes a parcel over.
func (o *outbox) put(p dist.Parcel) { o.parcels <- p }

// close sends what is left.
func (o *outbox) close() {
	close(o.parcels)
	o.done.Wait()
}
