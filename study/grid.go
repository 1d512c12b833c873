package study

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/train"
)

// sweep is an assignment of one or several values to a key.
type sweep struct {
	key    string
	values []string
}

// parseSweep reads key=value, or key=a,b,c for several values. Commas between brackets or quotes belong to a value, as in
// Hydra: key=[1,2],[3,4] has two.
func parseSweep(text string) (sweep, error) {
	key, rest, ok := strings.Cut(text, "=")
	key = strings.TrimSpace(key)
	if !ok || key == "" {
		return sweep{}, fault.New("set has %q: must be key=value, or key=a,b,c for a grid", text)
	}
	w := sweep{key: key}
	for _, value := range splitTop(rest) {
		value = strings.TrimSpace(value)
		if value == "" && strings.Contains(rest, ",") || strings.TrimSpace(rest) == "" {
			return sweep{}, fault.New("set has %q: an empty grid; must have a value before and behind every comma, and at least one", text)
		}
		w.values = append(w.values, value)
	}
	return w, nil
}

// splitTop cuts text at the commas that no bracket and no quote is around. Quotes around a value are taken off.
func splitTop(text string) []string {
	var parts []string
	depth, start := 0, 0
	var quote rune
	for i, r := range text {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '\'' || r == '"':
			quote = r
		case r == '[' || r == '{' || r == '(':
			depth++
		case r == ']' || r == '}' || r == ')':
			depth--
		case r == ',' && depth <= 0:
			parts, start = append(parts, text[start:i]), i+1
		}
	}
	parts = append(parts, text[start:])
	for i, p := range parts {
		p = strings.TrimSpace(p)
		if n := len(p); n > 1 && (p[0] == '\'' || p[0] == '"') && p[n-1] == p[0] {
			p = p[1 : n-1]
		}
		parts[i] = p
	}
	return parts
}

// point is one of the combinations of a grid: assignments, and what tells it from the others.
type point struct {
	sets []string
	name string // "lambda=0.1,every=4"; empty where nothing is swept
}

// combine returns all combinations of the sweeps, the last key changing fastest.
func combine(sweeps []sweep) []point {
	points := []point{{}}
	for _, w := range sweeps {
		var more []point
		for _, p := range points {
			for _, value := range w.values {
				q := point{append(p.sets[:len(p.sets):len(p.sets)], w.key+"="+value), p.name}
				if len(w.values) > 1 {
					last := w.key[strings.LastIndexByte(w.key, '.')+1:]
					q.name = strings.TrimPrefix(q.name+","+last+"="+value, ",")
				}
				more = append(more, q)
			}
		}
		points = more
	}
	return points
}

// addArms resolves the arms of a document, one for every point of their grids.
func (s *Study) addArms(d document, dir string, many bool) error {
	grids := make([][]sweep, len(d.Arms))
	shared := slices.Concat(d.Set, d.Scales[s.Scale].Set)
	cells := 0
	for i, a := range d.Arms {
		if err := checkName(a.Name); err != nil {
			return err
		}
		size := len(s.Seeds)
		for _, text := range slices.Concat(shared, a.Set.at(s.Scale)) {
			w, err := parseSweep(text)
			if err != nil {
				return fault.New("%s: %w", label("arm", a.Name), err)
			}
			if w.key == "seed" || w.key == "name" {
				return fault.New("%s sets %s: must be left to the study, which gives each run its own", label("arm", a.Name), w.key)
			}
			grids[i] = append(grids[i], w)
			if size *= len(w.values); size > 1<<40 {
				break
			}
		}
		cells += size
	}
	if cells > MostCells && !many {
		return fault.New("it has %d cells, arms times seeds: must have at most %d unless --yes says that this is meant", cells, MostCells)
	}
	for i, a := range d.Arms {
		for _, p := range combine(grids[i]) {
			if err := s.addArm(a, p, len(shared), dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// addArm adds an arm at a point of its grid, the first assignments of which all arms share.
func (s *Study) addArm(a armDocument, p point, shared int, dir string) error {
	arm := Arm{Name: a.Name, Recipe: a.Recipe.at(s.Scale), Sets: p.sets, Paper: a.Paper, Baseline: a.Baseline, shared: shared}
	if p.name != "" {
		arm.Name += "," + unplain.ReplaceAllString(p.name, "_")
	}
	if err := checkName(arm.Name); err != nil {
		return err
	}
	if found, _ := s.arm(arm.Name, ""); found != nil {
		return fault.New("two arms are named %s: names must differ, as they become folders", show.Name(arm.Name))
	}
	if arm.Recipe == "" {
		return fault.New("%s has no recipe: must name one, or a .yaml file", label("arm", a.Name))
	}
	if isFile(arm.Recipe) && !filepath.IsAbs(arm.Recipe) {
		arm.Recipe = filepath.Join(dir, arm.Recipe)
		if !strings.ContainsRune(arm.Recipe, '/') {
			arm.Recipe = "./" + arm.Recipe
		}
	}
	var err error
	if arm.Config, err = train.Load(arm.Recipe, append(arm.Sets[:len(arm.Sets):len(arm.Sets)], "name="+arm.Name)); err != nil {
		return fault.New("%s: %w", label("arm", arm.Name), err)
	}
	s.Arms = append(s.Arms, arm)
	return nil
}

var (
	armName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.+=,-]*$`)
	unplain = regexp.MustCompile(`[^A-Za-z0-9_.+=,-]+`)
)

// longestArm leaves room in a folder's name and in a run's.
const longestArm = 90

// checkName refuses a name that is none of a folder.
func checkName(name string) error {
	if !armName.MatchString(name) || len(name) > longestArm {
		return fault.New("an arm's name is %s: must be letters, digits and _ . + = , - with a letter or digit first, at most %d of them",
			show.Name(name), longestArm)
	}
	return nil
}
