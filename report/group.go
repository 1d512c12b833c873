package report

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/sample"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/record"
)

// seedKey tells repeats apart, which share a row.
const seedKey = "seed"

// short are names for keys that people use in tables.
var short = map[string]string{
	"method": "method.name", "model": "model.name", "head": "head.name", "data": "data.set", "optimizer": "optim.name",
	"modules": "method.modules", "lambda": "method.lambda", "lr": "optim.lr", "epochs": "schedule.epochs",
}

// passing are the keys that say where and how a run was made and not what it is.
var passing = []string{"name", seedKey, "threads", "device", "deterministic", "data.dir", "data.workers", "checkpoint.*", "diagnose.*"}

// Group is a row: runs that agree in the keys that it is by.
type Group struct {
	Values []string // of the keys
	Runs   []Run
}

// Name is what a legend calls the group.
func (g Group) Name() string { return strings.Join(g.Values, ", ") }

// of sums up a number that each run has.
func (g Group) of(value func(Run) float64) sample.Sample {
	var values []float64
	for _, r := range g.Runs {
		values = append(values, value(r))
	}
	return sample.Of(values)
}

// Grouping is runs in rows.
type Grouping struct {
	By     []string // full keys, the seed left out
	Groups []Group  // in the order in which their first runs were given
}

// GroupBy puts runs into rows by keys of their recipes, such as method or optim.lr. Runs that differ in the seed alone are
// repeats, and share a row. Where seed is among the keys, two runs of a row with the same seed are a fault: the second
// would be counted as a sample of its own. Without keys, rows are by all keys in which the runs differ.
//
// notice gets a line for each row whose runs differ elsewhere, too.
func GroupBy(runs []Run, by []string, notice func(string)) (Grouping, error) {
	var g Grouping
	seeds := len(by) == 0
	for _, key := range by {
		full, err := resolve(runs, key)
		if err != nil {
			return g, err
		}
		if full == seedKey {
			seeds = true
		} else if !slices.Contains(g.By, full) {
			g.By = append(g.By, full)
		}
	}
	if len(by) == 0 {
		g.By = differing(runs)
	}
	at := map[string]int{}
	for _, r := range runs {
		var values []string
		for _, key := range g.By {
			values = append(values, r.Keys[key])
		}
		id := strings.Join(values, "\x00")
		i, ok := at[id]
		if !ok {
			i = len(g.Groups)
			at[id] = i
			g.Groups = append(g.Groups, Group{Values: values})
		}
		g.Groups[i].Runs = append(g.Groups[i].Runs, r)
	}
	for _, row := range g.Groups {
		if err := row.repeats(seeds); err != nil {
			return g, err
		}
		if mixed := differing(row.Runs); mixes(row.Runs, mixed) {
			notice(fmt.Sprintf("row %q mixes runs that differ in %s: add it to --by", row.Name(), strings.Join(mixed, ", ")))
		}
	}
	for _, line := range otherTests(runs) {
		notice(line)
	}
	return g, nil
}

// otherTests says which runs were tested on other samples than earlier ones whose recipes read their sets alike: the folder is another,
// or its files were changed.
func otherTests(runs []Run) (lines []string) {
	type first struct {
		run  Run
		told bool
	}
	seen := map[string]*first{}
	for _, r := range runs {
		if r.Summary.Data == (record.Data{}) { // of an earlier program
			continue
		}
		var id []string
		for _, key := range names([]Run{r}) {
			if strings.HasPrefix(key, "data.") && !passes(key) {
				id = append(id, key+"="+r.Keys[key])
			}
		}
		key := strings.Join(id, "\x00")
		before, ok := seen[key]
		if !ok {
			seen[key] = &first{run: r}
			continue
		}
		if was, now := before.run.Summary.Data, r.Summary.Data; !before.told && (was.Classes != now.Classes || was.Test != now.Test) {
			before.told = true
			lines = append(lines, fmt.Sprintf("%s and %s were tested on other samples, though their recipes read the same set: their accuracies cannot be compared",
				show.Name(before.run.Dir), show.Name(r.Dir)))
		}
	}
	return lines
}

// passes reports whether a key does not say what a run is.
func passes(key string) bool {
	return slices.ContainsFunc(passing, func(p string) bool { ok, _ := path.Match(p, key); return ok })
}

// resolve returns the full name of a key that the runs' recipes have.
func resolve(runs []Run, key string) (string, error) {
	if full, ok := short[key]; ok {
		return full, nil
	}
	all := names(runs)
	if slices.Contains(all, key) {
		return key, nil
	}
	var near []string
	for _, have := range all {
		if strings.Contains(have, key) || strings.Contains(key, path.Base(strings.ReplaceAll(have, ".", "/"))) {
			near = append(near, have)
		}
	}
	if len(near) > 0 && key != "" {
		return "", fault.New("--by is %q: the runs' recipes have no such key; did you mean %s?", key, near[0])
	}
	return "", fault.New("--by is %q: must be keys of a recipe such as method, model, optim.lr or seed; 'locus list keys' shows them", key)
}

// differing lists the keys in which runs differ, those aside that do not say what a run is. There is always one.
func differing(runs []Run) []string {
	var out []string
	for _, key := range names(runs) {
		if !passes(key) && mixes(runs, []string{key}) {
			out = append(out, key)
		}
	}
	if len(out) == 0 {
		return []string{"method.name"}
	}
	slices.SortStableFunc(out, func(a, b string) int { return rank(a) - rank(b) })
	return leaner(runs, out)
}

// rank puts the method first, as people do.
func rank(key string) int {
	if key == "method.name" {
		return 0
	}
	return 1
}

// leaner leaves out keys that follow from those before them: a method's heads and modules tell nothing that its name does not.
func leaner(runs []Run, keys []string) []string {
	var kept []string
	for _, key := range keys {
		values := map[string]string{}
		follows := len(kept) > 0
		for _, r := range runs {
			var id []string
			for _, k := range kept {
				id = append(id, r.Keys[k])
			}
			at := strings.Join(id, "\x00")
			if before, ok := values[at]; ok && before != r.Keys[key] {
				follows = false
			}
			values[at] = r.Keys[key]
		}
		if !follows {
			kept = append(kept, key)
		}
	}
	return kept
}

func mixes(runs []Run, keys []string) bool {
	for _, key := range keys {
		for _, r := range runs {
			if r.Keys[key] != runs[0].Keys[key] {
				return true
			}
		}
	}
	return false
}

// repeats refuses a seed that a row has twice.
func (g Group) repeats(strict bool) error {
	first := map[string]string{}
	for _, r := range g.Runs {
		seed := r.Keys[seedKey]
		if before, twice := first[seed]; twice && strict {
			return fault.New("row %q has seed %s twice, in %s and %s: name a key in --by that tells them apart, or leave one out",
				g.Name(), seed, before, r.Dir)
		}
		first[seed] = r.Dir
	}
	return nil
}

// seeds lists those of the group.
func (g Group) seeds() string {
	var all []string
	for _, r := range g.Runs {
		all = append(all, strconv.FormatUint(r.Summary.Seed, 10))
	}
	return strings.Join(all, " ")
}
