package data

import "github.com/locus-learn/locus/internal/seed"

// Order returns the order in which epoch visits n images: a permutation that root and epoch determine, or 0 to n-1
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

// Batches returns how many batches n images make. A last batch that is not full counts only with keepLast.
func Batches(n, batch int, keepLast bool) int {
	if keepLast {
		return (n + batch - 1) / batch
	}
	return n / batch
}
