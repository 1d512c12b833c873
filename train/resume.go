package train

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/recipe"
)

// Change is a key of a recipe, or a section, that may change when a run goes on, and what changes with it.
type Change struct {
	Key, Effect string
	Result      bool // what a whole run comes to may be something else, by more than the last bits
}

// resumable is the one list of what may change; every other key must stay. docs/reliability.md has the same table, and a
// test compares them.
var resumable = []Change{
	{"name", "what the run is called", false},
	{"device", "the last bits of sums, and with them those of the weights", false},
	{"graphs", "speed and memory", false},
	{"threads", "the last bits of sums, and with them those of the weights", false},
	{"data.dir", "nothing: the images must be the same", true},
	{"data.workers", "speed", false},
	{"data.broken", "when too many broken images end the run", false},
	{"method.pipeline", "speed and memory", false},
	{"method.resident", "speed and memory", false},
	{"method.visit", "speed and memory", false},
	{"method.spill", "where modules wait that are not in memory", false},
	{"method.signals", "where signals wait between two modules", false},
	{"optim.lr", "the steps from here on", true},
	{"optim.weight_decay", "the steps from here on", true},
	{"optim.clip", "the steps from here on", true},
	{"schedule", "the steps from here on; with other epochs the run ends there", true},
	{"eval", "when the run is evaluated, and when it ends early", true},
	{"probe", "how features are measured from here on", true},
	{"diagnose", "what is measured from here on", true},
	{"checkpoint", "how many checkpoints are kept", false},
	{"mesh", "which processes do the work; with another mesh.data also the last bits of sums", false},
	{"serve", "how the trained network answers", false},
}

// Resumable returns the keys and sections that may change when a run goes on.
func Resumable() []Change { return slices.Clone(resumable) }

// OtherResult returns the keys by which two recipes may come to different results. What says only how and where it is computed, such
// as threads and device, is none of them.
func OtherResult(a, b Config) ([]recipe.Difference, error) {
	if _, auto := b.Method.Auto(); auto { // a run has what was found
		b.Method.Cuts = a.Method.Cuts
	}
	all, err := recipe.Differ(&a, &b)
	return slices.DeleteFunc(all, func(d recipe.Difference) bool {
		return slices.ContainsFunc(resumable, func(c Change) bool { return !c.Result && c.has(d.Key) })
	}), err
}

// has reports whether a key is the change's, or of its section.
func (c Change) has(key string) bool { return within(key, c.Key) }

// within reports whether a key is another one, or of that section.
func within(key, section string) bool { return key == section || strings.HasPrefix(key, section+".") }

// mayChange reports whether a key is among them.
func mayChange(key string) bool {
	return slices.ContainsFunc(resumable, func(c Change) bool { return c.has(key) })
}

// resumes brings a run that was restored together with the recipe given now: it compares recipe and data with those that
// the run was begun with, and finds where it ends.
func (r *Run) resumes(o Options) error {
	var changed []string
	if r.model.Spec != nil { // otherwise there is no recipe
		var err error
		if changed, err = changes(o.Out, &r.model.Config); err != nil {
			return err
		}
	}
	now := data.FingerprintOf(r.set)
	switch part := now.Differ(r.at.Data); {
	case part == "":
	case r.at.Broken && now.WithoutSizes().Differ(r.at.Data.WithoutSizes()) == "":
		o.Notice(fmt.Sprintf("files of the %s have other sizes than before: they are taken as mended, since some could not be read", part))
	default:
		return fault.New("the %s in %q are not those that the run in %s was begun with: --data names the folder of the old ones; "+
			"on these, begin another run", part, r.info.Dir, o.Out)
	}
	if err := r.lengthen(o, slices.Contains(changed, "schedule.epochs")); err != nil {
		return err
	}
	changed = slices.DeleteFunc(changed, func(key string) bool {
		return key == "name" || key == "device" || key == "graphs" || key == "threads" || strings.HasPrefix(key, "data.")
	})
	if len(changed) > 0 && r.finished() {
		return fault.New("%s is changed, but the run in %s is finished: a larger schedule.epochs, or --steps, trains on",
			strings.Join(changed, ", "), o.Out)
	}
	return nil
}

// changes returns the keys that are not what the run in a folder was begun with. One that may not change is a fault.
func changes(dir string, c *Config) ([]string, error) {
	was, err := begunWith(dir)
	if err != nil {
		return nil, err
	}
	other, err := recipe.Differ(&was, c)
	if err != nil {
		return nil, err
	}
	var changed []string
	for _, d := range other {
		if !mayChange(d.Key) {
			return nil, fault.New("%s is %s, and %s when the run in %s was begun: a run that goes on must keep it; "+
				"begin another one, from these weights with --init %s", d.Key, d.B, d.A, show.Name(dir), show.Name(filepath.Join(dir, lastFile)))
		}
		changed = append(changed, d.Key)
	}
	return changed, nil
}

// lengthen moves the end of a run to where the options and the recipe now have it.
func (r *Run) lengthen(o Options, epochs bool) error {
	total := r.at.Total
	switch {
	case o.Steps >= 0:
		total = o.Steps
	case epochs:
		total = r.model.Config.Schedule.Epochs * r.perEpoch
	}
	switch {
	case total == r.at.Total:
		return nil
	case total < r.at.Step:
		return fault.New("the run in %s has done %d steps already: it cannot end after %d", o.Out, r.at.Step, total)
	case r.cycles() > 1 && r.at.Step > 0:
		return fault.New("the run in %s cannot end at another step than %d: its method trains modules in turn, and their turns would move",
			o.Out, r.at.Total)
	}
	r.at.Total = total
	return nil
}
