package local

// Queue is where the signals of a [Stream] wait between two modules, each at the place of its batch in the visit. It reads
// ahead and writes behind. One goroutine uses it. Errors that a user can mend are faults; after one, the queue is good for
// nothing but Close.
type Queue interface {
	// Put keeps a signal, in place of the one that waited there before. It consumes the signal, whose elements it has copied
	// when it returns. What goes wrong after that, a later call tells.
	Put(place int, s Signal) error
	// Take returns the signal that waits at a place, which the caller owns. The next one to be taken is that at next; −1 for
	// none that is there already.
	Take(place, next int) (Signal, error)
	// Settle waits until nothing moves, and returns what went wrong.
	Settle() error
}
