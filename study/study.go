// Package study runs recipes side by side, with several seeds each, and says what follows from the results.
//
// A [Study] is a YAML document of arms: a recipe each, with overrides and grids of them. Its cells, an arm with a seed each, are
// ordinary runs in folders of their own, trained by processes of their own: [Runner] starts those that are not done yet, in
// an order that has something of all arms early. What a cell came to is an [Outcome], failures included, and [Report] puts
// them together: means, spreads, and differences to the baseline paired by seed.
package study

import (
	"fmt"
	"slices"
	"strings"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/train"
)

// Study is what is compared, resolved: every arm has its recipe.
type Study struct {
	Name     string
	About    string // one line: what is asked
	Scale    string // of the scales that the document has; empty where it has none
	Metric   Metric
	Baseline string  // the arm that others are compared with, but for those that name one of their own
	Budget   float64 // hours of training, all runs together, after which no further one is begun; 0: none
	Seeds    []uint64
	Arms     []Arm
	Doc      []byte // the document
}

// Arm is one of the things compared.
type Arm struct {
	Name     string
	Recipe   string   // as train takes it
	Sets     []string // key=value, on top of the recipe
	Paper    float64  // the published figure in percent; 0 where there is none
	Baseline string   // the arm that it is compared with; itself where it is one
	Config   train.Config

	shared int           // how many of Sets all arms have, the first ones
	looked *train.Survey // once it is known
}

// Cell is an arm with a seed.
type Cell struct {
	Arm  *Arm
	Seed uint64
}

// Name is the cell's place below the study's folder, with slashes.
func (c Cell) Name() string { return fmt.Sprintf("%s/seed-%d", c.Arm.Name, c.Seed) }

// Cells lists the cells by value: the first seed of all arms, then the second, and so on.
func (s *Study) Cells() []Cell {
	var cells []Cell
	for _, seed := range s.Seeds {
		for i := range s.Arms {
			cells = append(cells, Cell{&s.Arms[i], seed})
		}
	}
	return cells
}

// Shard returns every n-th cell from the i-th on, i from 1 to n: one machine's share where n work on a study.
func Shard(cells []Cell, i, n int) []Cell {
	var share []Cell
	for k := i - 1; k < len(cells); k += n {
		share = append(share, cells[k])
	}
	return share
}

// arm returns the arm of a name, or a fault.
func (s *Study) arm(name, asked string) (*Arm, error) {
	var names []string
	for i := range s.Arms {
		if s.Arms[i].Name == name {
			return &s.Arms[i], nil
		}
		names = append(names, s.Arms[i].Name)
	}
	return nil, fault.New("%s is %q: must be one of the study's arms, %s", asked, name, strings.Join(shorten(names, 12), ", "))
}

// Only leaves the arms of the given names and those that they are compared with.
func (s *Study) Only(names []string) error {
	keep := map[string]bool{s.Baseline: true}
	for _, name := range names {
		a, err := s.arm(name, "--arms")
		if err != nil {
			return err
		}
		keep[a.Name], keep[a.Baseline] = true, true
	}
	s.Arms = slices.DeleteFunc(s.Arms, func(a Arm) bool { return !keep[a.Name] })
	return nil
}

// Idle says of which values in the document and in recipe files nothing comes, a line each: see [train.IdleAmong].
func (s *Study) Idle() ([]string, error) {
	var arms []train.Arm
	for _, a := range s.Arms {
		arms = append(arms, train.Arm{Name: a.Name, Recipe: a.Recipe, Shared: a.Sets[:a.shared], Own: a.Sets[a.shared:]})
	}
	return train.IdleAmong(arms)
}

// SetSeeds makes the seeds 1 to n.
func (s *Study) SetSeeds(n int) {
	s.Seeds = nil
	for seed := range n {
		s.Seeds = append(s.Seeds, uint64(seed)+1)
	}
}

// shorten names the first most of a list and how many more there are.
func shorten(names []string, most int) []string {
	if len(names) <= most {
		return names
	}
	return append(slices.Clone(names[:most]), fmt.Sprintf("and %d more", len(names)-most))
}
