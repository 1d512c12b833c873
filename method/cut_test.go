package method_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/nn"
)

func blocks(names string) []nn.Block {
	var all []nn.Block
	for _, name := range strings.Fields(names) {
		all = append(all, nn.Block{Name: name})
	}
	return all
}

var published = map[int][]string{2: {"d"}, 3: {"b", "d"}}

func TestCuts(t *testing.T) {
	seven := blocks("a b c d e f g")
	for _, tt := range []struct {
		name     string
		blocks   []nn.Block
		k        int
		explicit string
		want     []int
	}{
		{"one module", seven, 1, "", []int{7}},
		{"published 2", seven, 2, "", []int{4, 7}},
		{"published 3", seven, 3, "", []int{2, 4, 7}},
		{"even where none is published", seven, 4, "", []int{2, 4, 6, 7}},
		{"even 5, the larger shares first", seven, 5, "", []int{2, 4, 5, 6, 7}},
		{"every block a module", seven, 7, "", []int{1, 2, 3, 4, 5, 6, 7}},
		{"explicit wins over published", seven, 2, "a", []int{1, 7}},
		{"explicit sets the number, too", seven, 99, "a c f", []int{1, 3, 6, 7}},
		{"one block", blocks("a"), 1, "", []int{1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := method.Cuts(tt.blocks, published, tt.k, strings.Fields(tt.explicit))
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("ends %v, error %v, want %v", got, err, tt.want)
			}
		})
	}
}

// Even cuts give every module a block, differ by one block at most, never grow and cover the network.
func TestEvenCutsAreEven(t *testing.T) {
	for n := 1; n <= 20; n++ {
		all := blocks(strings.Repeat("x ", n))
		for k := 1; k <= n; k++ {
			ends, err := method.Cuts(all, nil, k, nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(ends) != k || ends[k-1] != n {
				t.Fatalf("%d blocks in %d modules: ends %v", n, k, ends)
			}
			from, before := 0, (n+k-1)/k
			for _, end := range ends {
				size := end - from
				if size < n/k || size > before {
					t.Fatalf("%d blocks in %d modules: ends %v", n, k, ends)
				}
				from, before = end, size
			}
		}
	}
}

func TestCutsErrors(t *testing.T) {
	const all = "a, b, c, d, e, f, g"
	for _, tt := range []struct {
		k        int
		explicit string
		want     string
	}{
		{0, "", "method.modules is 0: must be between 1 and the number of blocks, 7"},
		{8, "", "method.modules is 8: must be between 1 and the number of blocks, 7"},
		{3, "a x", `method.cuts names "x": must be blocks among ` + all},
		{3, "a g", `method.cuts names "g", the last block: the last module ends there anyway`},
		{3, "c b", `method.cuts names "b" too late: must follow the order ` + all},
		{3, "c c", `method.cuts names "c" too late: must follow the order ` + all},
	} {
		t.Run(fmt.Sprintf("%d %s", tt.k, tt.explicit), func(t *testing.T) {
			_, err := method.Cuts(blocks("a b c d e f g"), published, tt.k, strings.Fields(tt.explicit))
			if err == nil || err.Error() != tt.want {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}
