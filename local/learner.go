package local

import "github.com/locus-learn/locus/torch"

// Learner trains a whole network, batch after batch.
type Learner interface {
	// Step trains on images, in two views where the rule asks for them (see [Signal]), and labels. It consumes both.
	//
	// It returns the batches that have left the network since the last call: in lock-step on the CPU this one, on another
	// device the one before, whose numbers have arrived meanwhile, and in a pipeline an earlier one or none. See [Diverged]
	// for its error.
	Step(x, y torch.Tensor, at Tick) ([]Outcome, error)
	// Drain waits until the network is empty and returns the batches that have left it.
	Drain() ([]Outcome, error)
	// Evaluate counts correct answers of every module's head. It consumes x and y. The network must be empty.
	Evaluate(x, y torch.Tensor) ([]Score, error)
	// EvaluateAll is Evaluate of several batches, of which it reads features and labels. Where modules come and go, each
	// comes once for all batches. It consumes them.
	EvaluateAll(batches []Signal) ([][]Score, error)
	// Modules are the parts of the network in order.
	Modules() []*Module
	// Close ends the learner's goroutines, if it has any, and waits for them. It may be called again.
	Close()
}

// Outcome is what the modules measured on one batch.
type Outcome struct {
	Tick
	Stats []Stats // one a module; losses and agreements are NaN for one that did not train
}

// Score counts right answers of one head among N; N is 0 for a head that gives none.
type Score struct {
	Top1, Top5, N int
	Loss          float64   // sum of the answers' cross-entropies; binary ones, each a mean over classes, with Answers
	Answers       []float32 // logits [N, classes] where samples have any number of classes, and Top1 and Top5 are 0; nil elsewhere
	Sums          []float64 // of [Rule.Measured], in that order; nil for a head that gives no answers
}
