package cli

import (
	"slices"
	"strconv"
	"strings"

	"github.com/locus-learn/locus/internal/fault"
)

// counts is a flag for numbers of modules: one such as 3, several such as 1-16 or 1,2,8-12, or all that there can be.
type counts struct {
	text    string
	numbers []int // ascending, each once; none for all
}

// mostModules is far above what a network has blocks; it bounds what a range takes.
const mostModules = 10_000

// Set implements pflag.Value.
func (c *counts) Set(text string) error {
	if text == "all" {
		*c = counts{text, nil}
		return nil
	}
	var numbers []int
	for item := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(item, "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.Atoi(strings.TrimSpace(first))
		to, err2 := strconv.Atoi(strings.TrimSpace(last))
		if err1 != nil || err2 != nil || from < 1 || to < from || to > mostModules {
			return fault.New("must be a number of modules such as 3")
		}
		for k := from; k <= to; k++ {
			numbers = append(numbers, k)
		}
	}
	slices.Sort(numbers)
	*c = counts{text, slices.Compact(numbers)}
	return nil
}

// Type implements pflag.Value.
func (c *counts) Type() string { return "counts" }

// String implements pflag.Value.
func (c *counts) String() string { return c.text }

// one returns the number where there is only one.
func (c *counts) one() (k int, ok bool) {
	if len(c.numbers) != 1 {
		return 0, false
	}
	return c.numbers[0], true
}

// upTo returns the numbers, all of them at most so many blocks.
func (c *counts) upTo(blocks int) ([]int, error) {
	if len(c.numbers) == 0 {
		all := make([]int, blocks)
		for i := range all {
			all[i] = i + 1
		}
		return all, nil
	}
	if most := c.numbers[len(c.numbers)-1]; most > blocks {
		return nil, fault.New("--modules is %s: must be at most the number of blocks, %d", c.text, blocks)
	}
	return c.numbers, nil
}
