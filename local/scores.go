package local

import (
	"math"

	"github.com/locus-learn/locus/torch"
)

// Scores says how much classes and samples count in a loss of labels. The zero value counts all alike.
type Scores struct {
	// Weights of the classes, above 0; none: all count 1. The loss is Σ w_y ℓ / Σ w_y over the batch, as of PyTorch's
	// CrossEntropyLoss. Of a soft label, each class counts by its share.
	Weights []float64
	// Gamma makes samples that are answered well count less, by (1 − p_y)^Gamma: the focal loss (Lin et al. 2017). 0: none.
	// The classes of a soft or smoothed label do so one by one.
	Gamma int
	// MultiLabel asks for each class by itself: labels are [N, classes] of zeros and ones, and the loss is the binary cross-entropy,
	// the mean over samples and classes. Weights then count the samples that have a class; Gamma must be 0.
	MultiLabel bool
}

// Chooser is an [Objective] with a loss of labels that can be told how classes and samples count.
type Chooser interface {
	Objective
	Choose(s Scores) Objective
}

func (s Scores) plain() bool { return len(s.Weights) == 0 && s.Gamma == 0 && !s.MultiLabel }

// of returns the loss of logits [N, classes] in float32 or better for labels, plain or soft. It is −Σ q log softmax, where q
// is the label's distribution times all that makes classes and samples count. It consumes nothing.
func (s Scores) of(sc *torch.Scope, logits, y torch.Tensor, smoothing float64) torch.Tensor {
	if s.MultiLabel {
		return s.binary(sc, logits, y, smoothing)
	}
	q := s.targets(sc, logits, y, smoothing)
	defer func() { q.Free() }()
	if s.Gamma > 0 {
		easy := sc.Softmax(logits)
		hard := minusOne(sc, easy)
		easy.Free()
		for range s.Gamma {
			next := sc.Mul(q, hard)
			q.Free()
			q = next
		}
		hard.Free()
	}
	return sc.CrossEntropy(logits, q, 0)
}

// minusOne returns 1 − x.
func minusOne(sc *torch.Scope, x torch.Tensor) torch.Tensor {
	one := sc.Full(x.DType(), 1, 1)
	defer one.Free()
	return sc.Add(one, x, -1)
}

// targets returns constants q [N, classes] in the type of the logits: the labels' smoothed distributions times the classes'
// weights, divided by the mean weight of the labels.
func (s Scores) targets(sc *torch.Scope, logits, y torch.Tensor, smoothing float64) torch.Tensor {
	shape := logits.Shape()
	n, classes := shape[0], int(shape[1])
	hot := sc.Alias(y)
	if len(y.Shape()) == 1 {
		hot.Free()
		hot = sc.OneHot(y, classes)
	}
	q := sc.Scale(hot, 1-smoothing)
	if smoothing > 0 {
		q.Increment(smoothing / float64(classes))
	}
	if len(s.Weights) > 0 {
		w := sc.Constant(torch.Float32, s.Weights, int64(classes))
		of := sc.Mul(hot, w)
		sum := sc.Scale(sc.Sum(of), 1/float64(n))
		sc.MulInPlace(q, w)
		even := sc.Div(q, sum)
		for _, t := range []torch.Tensor{w, of, sum, q} {
			t.Free()
		}
		q = even
	}
	hot.Free()
	out := sc.Cast(q, logits.DType())
	q.Free()
	return out
}

// Balanced returns weights that make classes of so many samples count alike in all: N / (C·n_c), of the C classes that have
// samples. It is 1 for a class without any, which no label names.
func Balanced(counts []int) []float64 {
	all, present := 0, 0
	for _, n := range counts {
		if n > 0 {
			all, present = all+n, present+1
		}
	}
	weights := make([]float64, len(counts))
	for i, n := range counts {
		if weights[i] = 1; n > 0 {
			weights[i] = float64(all) / (float64(present) * float64(n))
		}
	}
	return weights
}

// mostWeight bounds weights of classes, so that sums of them stay far from what float32 can hold.
const mostWeight = 1e6

// PossibleWeight says whether a number can be the weight of a class: from 1e-6 to 1e6.
func PossibleWeight(weight float64) bool {
	return weight >= 1/mostWeight && weight <= mostWeight && !math.IsNaN(weight)
}
