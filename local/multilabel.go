package local

import (
	"math"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// binary returns the binary cross-entropy of logits [N, classes] for labels [N, classes] of zeros and ones: the mean over samples
// and classes of
//
//	−w_c y log σ(z) − (1 − y) log(1 − σ(z)),
//
// as of PyTorch's BCEWithLogitsLoss with pos_weight w. Smoothing s makes y(1 − s) + s/2 of y. It consumes nothing.
func (s Scores) binary(sc *torch.Scope, logits, y torch.Tensor, smoothing float64) torch.Tensor {
	target := sc.Cast(y, logits.DType())
	defer func() { target.Free() }()
	if smoothing > 0 {
		smooth := sc.Scale(target, 1-smoothing)
		smooth.Increment(smoothing / 2)
		target.Free()
		target = smooth
	}
	if len(s.Weights) == 0 {
		return sc.BinaryCrossEntropy(logits, target)
	}
	// With weights it is the cross-entropy of the pairs (z, 0), whose softmax is (σ(z), 1 − σ(z)), for targets (w y, 1 − y).
	shape := logits.Shape()
	pairs, classes := shape[0]*shape[1], shape[1]
	wide := sc.Constant(torch.Float32, s.Weights, classes)
	w := sc.Cast(wide, logits.DType())
	has := sc.Mul(target, w)
	hasNot := minusOne(sc, target)
	zero := sc.ZerosLike(logits)
	q := sc.Cat(sc.Reshape(has, pairs, 1), sc.Reshape(hasNot, pairs, 1), 1)
	z := sc.Cat(sc.Reshape(logits, pairs, 1), sc.Reshape(zero, pairs, 1), 1)
	loss := sc.CrossEntropy(z, q, 0)
	free([]torch.Tensor{wide, w, has, hasNot, zero, q, z})
	return loss
}

// BalancedPositives returns weights that make the samples which have a class count as much as those which have it not: their
// number over that of the others. It is 1 for a class that no sample has, or all have.
func BalancedPositives(counts []int, samples int) []float64 {
	weights := make([]float64, len(counts))
	for i, n := range counts {
		if weights[i] = 1; n > 0 && n < samples {
			weights[i] = float64(samples-n) / float64(n)
		}
	}
	return weights
}

// countMany is what [Chain.count] returns where samples have any number of classes: no answers that are right, and the mean
// binary cross-entropy. The logits go into score, because what such heads are measured by needs all of them.
func (c *Chain) countMany(p *nn.Pass, logits, y torch.Tensor, score *Score, hear func(logits torch.Tensor)) []torch.Tensor {
	logits = float(p, logits)
	defer logits.Free()
	if hear != nil {
		hear(logits)
	}
	for _, v := range logits.Float64s() {
		score.Answers = append(score.Answers, float32(v))
	}
	target := p.Cast(y, logits.DType())
	defer target.Free()
	return []torch.Tensor{p.Full(torch.Float32, 0), p.Full(torch.Float32, 0), p.BinaryCrossEntropy(logits, target)}
}

// Blank returns labels of n samples in the form that the rule takes, for who needs them and has none. The scope owns them.
func (r *Rule) Blank(s *torch.Scope, n, classes int) torch.Tensor {
	if r.MultiLabel {
		return s.Full(torch.Float32, 0, int64(n), int64(classes))
	}
	return s.FromInts(make([]int64, n))
}

// Sureness is how sure a head is of what it says of a sample: the probability of the best class or, where a sample may have any
// number of classes, that of the class it is least sure about, to be there or not to be there.
func Sureness(probabilities []float64, multiLabel bool) float64 {
	sure := 0.0
	if multiLabel {
		sure = 1
	}
	for _, p := range probabilities {
		if multiLabel {
			sure = min(sure, max(p, 1-p))
		} else {
			sure = max(sure, p)
		}
	}
	return sure
}

// sigmoids are the probabilities that logits stand for, each by itself.
func sigmoids(logits []float64) []float64 {
	for i, z := range logits {
		logits[i] = Sigmoid(z)
	}
	return logits
}

// Sigmoid returns 1/(1 + exp(−z)).
func Sigmoid(z float64) float64 { return 1 / (1 + math.Exp(-z)) }
