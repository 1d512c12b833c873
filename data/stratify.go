package data

import (
	"cmp"
	"slices"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/seed"
)

// SplitByClass takes n samples out, class by class, and returns the rest and them, both in the order of s. Which ones follows
// from root and the name of the stream. Each class gives its share of n, rounded so that the sum is n, but never its last
// sample: with many tiny classes fewer than n are taken. Samples of several classes are divided as [divideClasses] does. Others
// that are not [Labelled] are a fault, which goes on after the set's name.
func SplitByClass(s Samples, n int, root uint64, stream string) (rest, taken Samples, err error) {
	if many, ok := multiLabelled(s); ok {
		stay, gone := divideClasses(many, s.Len(), n, seed.Rand(root, stream))
		return s.Subset(stay), s.Subset(gone), nil
	}
	labelled, ok := s.(Labelled)
	if !ok {
		return nil, nil, fault.New("does not tell the classes of its samples before it reads them")
	}
	left := shares(countsOf(s, 0), n)
	var stay, gone []int
	for _, i := range seed.Rand(root, stream).Perm(s.Len()) {
		if label := labelled.Label(i); left[label] > 0 {
			left[label]--
			gone = append(gone, i)
			continue
		}
		stay = append(stay, i)
	}
	slices.Sort(stay)
	slices.Sort(gone)
	return s.Subset(stay), s.Subset(gone), nil
}

// shares divides n among classes of so many samples: by the largest remainders, of equal ones first to the first class.
func shares(counts []int, n int) []int {
	all := 0
	for _, c := range counts {
		all += c
	}
	out, order := make([]int, len(counts)), make([]int, len(counts))
	remainder := func(class int) int { return n * counts[class] % all }
	for class, c := range counts {
		out[class], order[class] = min(n*c/all, max(0, c-1)), class
	}
	left := n
	for _, o := range out {
		left -= o
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(remainder(b), remainder(a)) })
	for given := true; left > 0 && given; {
		given = false
		for _, class := range order {
			if left > 0 && out[class] < counts[class]-1 {
				out[class]++
				left--
				given = true
			}
		}
	}
	return out
}

// countsOf counts the samples that have each class, of at least so many classes; nil if they are neither [Labelled] nor
// [MultiLabelled].
func countsOf(s Samples, classes int) []int {
	if many, ok := multiLabelled(s); ok {
		counts := make([]int, classes)
		for i := range s.Len() {
			for _, class := range many.Classes(i) {
				counts[class]++
			}
		}
		return counts
	}
	labelled, ok := s.(Labelled)
	if !ok {
		return nil
	}
	counts := make([]int, classes)
	for i := range s.Len() {
		label := labelled.Label(i)
		for label >= len(counts) {
			counts = append(counts, 0)
		}
		counts[label]++
	}
	return counts
}

// BalancedOrder returns as many positions as there are samples, in a random order that root and epoch determine. Each class
// that has samples gets its equal share, up to one; which gets one more changes from epoch to epoch. Samples of a class take
// turns: none comes again before all have come. The samples must be [Labelled].
func BalancedOrder(root uint64, epoch int, s Samples) []int {
	labelled := s.(Labelled)
	random := seed.Rand(root, "data/balanced", uint64(epoch))
	var classes [][]int
	at := map[int]int{} // class → its place among those that have samples
	for _, i := range random.Perm(s.Len()) {
		label := labelled.Label(i)
		k, known := at[label]
		if !known {
			k = len(classes)
			at[label] = k
			classes = append(classes, nil)
		}
		classes[k] = append(classes[k], i)
	}
	order := make([]int, s.Len())
	for i := range order {
		of := classes[i%len(classes)]
		order[i] = of[i/len(classes)%len(of)]
	}
	random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	return order
}
