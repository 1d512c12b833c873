package method

import (
	"slices"
	"strings"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/nn"
)

// Cuts divides blocks into modules and returns the number of blocks in front of each module's end.
//
// Explicit names the blocks that end modules 1 … K−1 and wins over k. Otherwise published[k] does, if there is such a
// cut; otherwise the blocks are shared out evenly, earlier modules getting the larger shares.
func Cuts(blocks []nn.Block, published map[int][]string, k int, explicit []string) ([]int, error) {
	names := explicit
	if len(names) == 0 {
		if k < 1 || k > len(blocks) {
			return nil, fault.New("method.modules is %d: must be between 1 and the number of blocks, %d", k, len(blocks))
		}
		if names = published[k]; len(names) == 0 {
			return even(len(blocks), k), nil
		}
	}
	var ends []int
	for _, name := range names {
		i := slices.IndexFunc(blocks, func(b nn.Block) bool { return b.Name == name })
		switch {
		case i < 0:
			return nil, fault.New("method.cuts names %q: must be blocks among %s", name, blockNames(blocks))
		case i == len(blocks)-1:
			return nil, fault.New("method.cuts names %q, the last block: the last module ends there anyway", name)
		case len(ends) > 0 && i+1 <= ends[len(ends)-1]:
			return nil, fault.New("method.cuts names %q too late: must follow the order %s", name, blockNames(blocks))
		}
		ends = append(ends, i+1)
	}
	return append(ends, len(blocks)), nil
}

// Auto reports whether the cuts are to be chosen by measuring, and for what: "memory" or "time".
func (o Options) Auto() (goal string, auto bool) {
	if len(o.Cuts) != 1 {
		return "", false
	}
	switch o.Cuts[0] {
	case "auto":
		return "memory", true
	case "auto:time":
		return "time", true
	}
	return "", false
}

// Ends returns the number of blocks in front of each module's end, as the method and its options cut the network.
func (m Method) Ends(blocks []nn.Block, published map[int][]string, o Options) ([]int, error) {
	if m.Cut == Everywhere {
		return even(len(blocks), len(blocks)), nil
	}
	return Cuts(blocks, published, o.Modules, o.Cuts)
}

func even(n, k int) []int {
	ends := make([]int, k)
	for i := range ends {
		ends[i] = (i+1)*(n/k) + min(i+1, n%k)
	}
	return ends
}

func blockNames(blocks []nn.Block) string {
	var names []string
	for _, b := range blocks {
		names = append(names, b.Name)
	}
	return strings.Join(names, ", ")
}
