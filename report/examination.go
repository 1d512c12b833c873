package report

import (
	"cmp"
	"math"
	"slices"
)

// Examination is what the heads of one trained network answer on labelled samples.
type Examination struct {
	Checkpoint string
	Set, Part  string
	Subset     bool // of the official set
	Classes    []string
	Labels     []int  // of the samples
	Heads      []Head // of all modules, in order; the last one answers
	Mistakes   []Mistake
}

// Head is a module with its head.
type Head struct {
	Module           int
	Blocks           string
	Body, Asked      int64   // multiply-adds of a sample's way through the module's blocks, and through its head
	Top1, Top5, Loss float64 // per cents, and mean cross-entropy
	Said             []Said  // one a sample; nil if the head does not answer
}

// Said is what a head says of one sample.
type Said struct {
	Class int     // the most probable one
	Sure  float64 // its probability, in [0, 1]
	Right float64 // the probability of the sample's label
}

// Mistake is a sample that the last head is wrong about.
type Mistake struct {
	Sample  int
	Title   string
	H, W, C int
	Pixels  []byte // channels last; nil where there is no picture
}

// answering lists the heads that answer, by their places.
func (e Examination) answering() (heads []int) {
	for i, h := range e.Heads {
		if h.Said != nil {
			heads = append(heads, i)
		}
	}
	return heads
}

func (e Examination) last() Head { return e.Heads[len(e.Heads)-1] }

// path is what a sample takes to the head of a module, of which the heads at asked answer on the way.
func (e Examination) path(module int, asked []int) (macs int64) {
	for i, h := range e.Heads[:module+1] {
		macs += h.Body
		if slices.Contains(asked, i) {
			macs += h.Asked
		}
	}
	return macs
}

// alone is what a sample takes to one head, when no other is asked.
func (e Examination) alone(module int) int64 { return e.path(module, []int{module}) }

// perClass counts the samples of each class, and how many of them a head is right about.
func (e Examination) perClass(h Head) (n, right []int) {
	n, right = make([]int, len(e.Classes)), make([]int, len(e.Classes))
	for i, label := range e.Labels {
		n[label]++
		if h.Said[i].Class == label {
			right[label]++
		}
	}
	return n, right
}

// confused is how often samples of one class were taken for another one.
type confused struct{ label, said, n int }

// confusion counts what the last head takes each class for, most frequent mistakes first, and then what it is right about.
func (e Examination) confusion() []confused {
	count := map[[2]int]int{}
	for i, s := range e.last().Said {
		count[[2]int{e.Labels[i], s.Class}]++
	}
	var all []confused
	for pair, n := range count {
		all = append(all, confused{pair[0], pair[1], n})
	}
	right := func(c confused) int {
		if c.label == c.said {
			return 1
		}
		return 0
	}
	slices.SortFunc(all, func(a, b confused) int {
		return cmp.Or(right(a)-right(b), b.n-a.n, a.label-b.label, a.said-b.said)
	})
	return all
}

// bins is how many bins of confidence a calibration has, as in Guo et al. 2017.
const bins = 15

// bin is the samples whose confidence is within an interval.
type bin struct {
	n, right int
	sure     float64 // sum of the confidences
}

// calibration puts a head's answers into bins of equal width by their confidence, from (0, 1/15] to (14/15, 1]. ece is the
// expected calibration error: the mean over the samples of |accuracy − mean confidence| of their bin.
func (e Examination) calibration(h Head) (all [bins]bin, ece float64) {
	for i, s := range h.Said {
		if math.IsNaN(s.Sure) {
			continue
		}
		b := &all[max(0, min(bins-1, int(math.Ceil(s.Sure*bins))-1))]
		b.n++
		b.sure += s.Sure
		if s.Class == e.Labels[i] {
			b.right++
		}
	}
	for _, b := range all {
		ece += math.Abs(float64(b.right)-b.sure) / float64(len(h.Said))
	}
	return all, ece
}
