package train

import (
	"math"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/ranking"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/torch"
)

// Images that may have any number of classes are told apart by mean average precision, and that is what stands where the
// accuracy of others does: in events, summaries and tables, and for the best weights by validation. See [record.Epoch.Measure].
const meanAP = "mAP"

// Names of what else such heads are measured by, in per cent.
const (
	scoreF1      = "f1"
	scoreF1Micro = "f1_micro"
)

// measureOf is what the accuracies of a model are: "" for top-1.
func (m *Model) measureOf() string {
	if m.Rule.MultiLabel {
		return meanAP
	}
	return ""
}

// labelsOf returns labels [N] of n samples or, where they have any number of classes, [N, classes] float32 zeros and ones.
func labelsOf(s *torch.Scope, labels []int64, has []byte, n int) torch.Tensor {
	if len(has) == 0 {
		return s.FromInts(labels)
	}
	targets := make([]float32, len(has))
	for i, v := range has {
		targets[i] = float32(v)
	}
	return s.FromFloats(targets, int64(n), int64(len(has)/n))
}

// truth gathers which classes samples have, batch by batch.
type truth struct{ has []byte }

// look returns a look at batches that also takes another one, which may be nil.
func (t *truth) look(other func(data.Batch)) func(data.Batch) {
	return func(b data.Batch) {
		t.has = append(t.has, b.Has...)
		if other != nil {
			other(b)
		}
	}
}

// precisionOf is what a head is measured by that has answered about so many classes of each sample.
func (t *truth) precisionOf(s local.Score, classes int) Accuracy {
	a := Accuracy{Top1: math.NaN(), Top5: math.NaN(), Loss: s.Loss / float64(s.N)}
	means := ranking.Means{AP: math.NaN(), F1: math.NaN(), F1Micro: math.NaN()}
	if len(s.Answers) == len(t.has) {
		means = ranking.Mean(ranking.Answers{Logits: s.Answers, Has: t.has, Classes: classes}.All())
	}
	a.Top1 = 100 * means.AP
	a.Others = []Named{{scoreF1, 100 * means.F1}, {scoreF1Micro, 100 * means.F1Micro}}
	return a
}
