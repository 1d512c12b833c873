package train

import (
	"container/heap"
	"context"
	"math"

	"github.com/locus-learn/locus/torch"
)

// similarities is how many of them are held at a time.
const similarities = 1 << 22

// neighbours returns the accuracy with which module k's features of the bank tell the classes of queries, by a vote of
// the nearest ones by cosine, each weighted by exp(cosine/temperature) (Wu et al. 2018).
func (o ProbeOptions) neighbours(ctx context.Context, bank, queries features, k, classes int) (Accuracy, error) {
	s := bank.modules[k].Device().Scope(torch.NoGrad)
	defer s.Close()
	const floor = 1e-12 // of a norm
	keys, asked := s.NormalizeRows(bank.modules[k], floor), s.NormalizeRows(queries.modules[k], floor)
	n, m := len(queries.labels), len(bank.labels)
	rows := max(1, similarities/m)
	top1, top5 := 0, 0
	for from := 0; from < n; from += rows {
		if err := ctx.Err(); err != nil {
			return Accuracy{}, err
		}
		part := s.Narrow(asked, 0, int64(from), int64(min(rows, n-from)))
		cosines := s.Linear(part, keys, torch.Tensor{})
		all := cosines.Float64s()
		part.Free()
		cosines.Free()
		for i := range len(all) / m {
			rank := o.rank(all[i*m:(i+1)*m], bank.labels, queries.labels[from+i], classes)
			if rank == 0 {
				top1++
			}
			if rank < 5 {
				top5++
			}
		}
	}
	return Accuracy{Top1: 100 * float64(top1) / float64(n), Top5: 100 * float64(top5) / float64(n), Loss: math.NaN()}, nil
}

// rank returns how many classes have more of the vote than the right one; all of them if it has none. Of equal votes the
// lower class goes first.
func (o ProbeOptions) rank(cosines []float64, labels []int64, right int64, classes int) int {
	votes := make([]float64, classes)
	for _, b := range nearest(cosines, o.Neighbours) {
		votes[labels[b.at]] += math.Exp((b.cosine - 1) / o.Temperature)
	}
	own, rank := votes[right], 0
	if own == 0 {
		return classes
	}
	for c, v := range votes {
		if v > own || v == own && int64(c) < right {
			rank++
		}
	}
	return rank
}

// nearest returns the n largest cosines, or all, in no order. Of equal ones the earlier stay.
func nearest(cosines []float64, n int) neighbours {
	var best neighbours
	for i, c := range cosines {
		switch {
		case len(best) < n:
			heap.Push(&best, neighbour{i, c})
		case c > best[0].cosine:
			best[0] = neighbour{i, c}
			heap.Fix(&best, 0)
		}
	}
	return best
}

// neighbour is the image of the bank at a place.
type neighbour struct {
	at     int
	cosine float64
}

// neighbours is a heap, the farthest one at its root; of equally far ones the latest.
type neighbours []neighbour

func (h neighbours) Len() int { return len(h) }
func (h neighbours) Less(i, j int) bool {
	return h[i].cosine < h[j].cosine || h[i].cosine == h[j].cosine && h[i].at > h[j].at
}
func (h neighbours) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push implements [heap.Interface].
func (h *neighbours) Push(x any) { *h = append(*h, x.(neighbour)) }

// Pop implements [heap.Interface].
func (h *neighbours) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
