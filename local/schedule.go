package local

// Phase is what a module does in a stretch of the training.
type Phase int

const (
	Trains Phase = iota // forward, backward, update
	Frozen              // forward only, in evaluation mode
	Idle                // nothing, and nothing behind it either
	Heads               // the head learns on what the body puts out in evaluation mode, and the body stands still
)

// Schedule says which modules train when. Workers of a [Pipeline] share it.
type Schedule interface {
	// Phase of module k of K at a time given as the fraction of the training that is done, in [0, 1).
	Phase(k, K int, done float64) Phase
	// Cycles tells how often the training of K modules runs through the schedule of the learning rate, one after the other.
	Cycles(K int) int
}

// Together trains all modules on every batch.
type Together struct{}

// Phase implements [Schedule].
func (Together) Phase(int, int, float64) Phase { return Trains }

// Cycles implements [Schedule].
func (Together) Cycles(int) int { return 1 }

// Tick is the place of a step in the training.
type Tick struct {
	Step int     // from 0
	Done float64 // fraction of the training that lies behind, in [0, 1)
	LR   float64
}
