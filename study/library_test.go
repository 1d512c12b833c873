package study_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/study"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/train"
	"github.com/locus-learn/locus/zoo"
)

// Every table and figure of the paper is an embedded study at three scales.
func TestLibraryHasThePapersTables(t *testing.T) {
	have := map[string]bool{}
	for _, e := range study.Names() {
		if have[e.Name] = true; len(e.About) < 20 {
			t.Errorf("%s: no summary in its first line", e.Name)
		}
	}
	for _, name := range []string{"table2", "table3", "table4", "table5", "table6", "table7", "table8", "figure2", "figure3", "figure4"} {
		if !have[name] {
			t.Errorf("%s is not there", name)
			continue
		}
		for _, scale := range study.Scales {
			s, err := study.Open(name, study.Options{Scale: scale})
			if err != nil {
				t.Errorf("%s: %v", scale, err)
				continue
			}
			if strings.HasPrefix(name, "table") && name != "table8" && !slices.ContainsFunc(s.Arms, func(a study.Arm) bool { return a.Paper > 0 }) {
				t.Errorf("%s has none of the paper's figures", name)
			}
		}
	}
}

// At the paper's scale recipes are the paper's: no override but the weight that Table 2 sweeps, and what the study of a
// figure measures.
func TestFullScaleIsThePapers(t *testing.T) {
	for _, name := range []string{"table3", "table4", "table6", "table7", "table8"} {
		s, err := study.Open(name, study.Options{Scale: "full"})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range s.Arms {
			if len(a.Sets) > 0 || !strings.HasPrefix(a.Recipe, "cifar10") {
				t.Errorf("%s: %s is %s with %v", name, a.Name, a.Recipe, a.Sets)
			}
		}
	}
}

// Arms differ in nothing but what is compared: at medium scale they share the schedule.
func TestMediumArmsShareTheSchedule(t *testing.T) {
	for _, name := range []string{"table3", "table6"} {
		s, err := study.Open(name, study.Options{Scale: "medium"})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range s.Arms {
			c, first := a.Config, s.Arms[0].Config
			if c.Method.Name == "greedy" { // its modules share out the epochs
				first.Schedule = c.Schedule
			}
			if fmt.Sprint(c.Schedule, c.Optim, c.Precision, c.Data.Batch) != fmt.Sprint(first.Schedule, first.Optim, first.Precision, first.Data.Batch) {
				t.Errorf("%s: %s is trained otherwise than %s: %+v, %+v", name, a.Name, s.Arms[0].Name, c.Schedule, first.Schedule)
			}
		}
	}
}

// Every cell of every scale builds its network, cuts it and takes a step, on four images of 32×32. Networks have an eighth
// of their width, or as little as their heads of attention allow; automatic cuts, which take their time to find, are even
// ones. Cells that come to the same by this are stepped once; seeds make no difference to what is built.
func TestEveryCellTakesAStep(t *testing.T) {
	width := map[string]int{}
	for _, m := range zoo.Models() {
		width[m.Name] = max(m.Width/8, 4)
		if strings.HasPrefix(m.Name, "vit") || strings.HasPrefix(m.Name, "swin") {
			width[m.Name] = m.Width / 8
		}
	}
	seen := map[string]bool{}
	for _, e := range study.Names() {
		for _, scale := range study.Scales {
			s, err := study.Open(e.Name, study.Options{Scale: scale})
			if err != nil && strings.Contains(err.Error(), "no scales") {
				s, err = study.Open(e.Name, study.Options{})
			}
			if err != nil {
				t.Error(err)
				continue
			}
			for _, a := range s.Arms {
				c := shrunk(a.Config, width)
				if key := fmt.Sprintf("%+v %+v %+v %s", c.Model, c.Method, c.Head, c.Precision); !seen[key] {
					seen[key] = true
					if err := step(c); err != nil {
						t.Errorf("%s, %s, %s: %v", s.Name, s.Scale, a.Name, err)
					}
				}
			}
		}
	}
	t.Logf("%d different cells", len(seen))
}

// shrunk makes a recipe small. What does not change the kind of step is set to one value, so that cells come to the same.
func shrunk(c train.Config, width map[string]int) train.Config {
	c.Threads, c.Model.Width, c.Model.DropPath = 1, width[c.Model.Name], 0
	c.Head.Width = min(c.Head.Width, 8)
	for i := range c.Head.Widths {
		c.Head.Widths[i] = 16
	}
	if _, auto := c.Method.Auto(); auto {
		c.Method.Cuts = nil
	}
	if c.Method.Lambda != 0 {
		c.Method.Lambda = 1
	}
	return c
}

func step(c train.Config) error {
	m, err := train.NewModel(c, model.Input{Shape: nn.Shape{C: 3, H: 32, W: 32}, Classes: 10}, false)
	if err != nil {
		return err
	}
	defer m.Free()
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	x := s.Full(m.DType, 0, 4*int64(m.Views()), 3, 32, 32)
	x.Uniform(0, 1, 1)
	y := s.FromInts([]int64{0, 1, 0, 1})
	left, err := m.Learner.Step(x.Keep(), y.Keep(), local.Tick{LR: 0.01})
	if err != nil {
		return err
	}
	for _, module := range left[0].Stats {
		if !math.IsNaN(module.Loss) {
			return nil
		}
	}
	return fmt.Errorf("no module trained: %+v", left[0].Stats)
}

// Nothing that a study of ours asks for is without effect.
func TestLibraryAsksForNothingIdle(t *testing.T) {
	for _, e := range study.Names() {
		for _, scale := range append([]string{""}, study.Scales[1:]...) { // without one it is the first
			s, err := study.Open(e.Name, study.Options{Scale: scale})
			if err != nil {
				continue // it has no scales
			}
			if lines, err := s.Idle(); err != nil || len(lines) > 0 {
				t.Errorf("%s %s: %q, %v", e.Name, scale, lines, err)
			}
		}
	}
}
