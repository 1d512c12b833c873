package data

import (
	"slices"

	"github.com/locus-learn/locus/internal/seed"
)

// Order returns the order in which epoch visits n samples: a permutation that root and epoch determine, or 0 to n-1
// without shuffle.
func Order(root uint64, epoch, n int, shuffle bool) []int {
	if shuffle {
		return seed.Rand(root, "data/order", uint64(epoch)).Perm(n)
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	return order
}

// Count returns how many batches n samples make. A last batch that is not full counts only with keepLast.
func Count(n, batch int, keepLast bool) int {
	if keepLast {
		return (n + batch - 1) / batch
	}
	return n / batch
}

// Limit returns at most n samples, or all of them if n is 0: the first ones, or evenly spaced ones of those that stand class
// by class.
func Limit(s Samples, n int) Samples {
	all := s.Len()
	if n == 0 || n >= all {
		return s
	}
	positions := Order(0, 0, n, false)
	if g, ok := s.(Grouped); ok && g.ByClass() {
		for i := range positions {
			positions[i] = i * all / n
		}
	}
	return s.Subset(positions)
}

// Split takes n samples out by the seed root and returns the rest and them, both in the order of s. It panics if n is
// negative or exceeds s.Len().
func Split(s Samples, n int, root uint64) (rest, taken Samples) {
	if n == 0 {
		return s, s.Subset(nil)
	}
	order := seed.Rand(root, "data/validation").Perm(s.Len())
	slices.Sort(order[:n])
	slices.Sort(order[n:])
	return s.Subset(order[n:]), s.Subset(order[:n])
}
