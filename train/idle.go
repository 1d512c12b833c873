package train

import (
	"fmt"
	"slices"
	"strings"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/recipe"
)

// condition is when keys of a recipe have an effect: what they need, and whether a recipe has that.
type condition struct {
	keys  []string // or sections
	needs string   // to follow "it needs"
	holds func(*Config) bool
}

// conditions are those keys that only some choices of other keys read. Keys of the network that it does not have are refused, and so
// are not here.
var conditions = []condition{
	{[]string{"optim.momentum"}, "optim.name=sgd or lars", optimizer("sgd", "lars")},
	{[]string{"optim.nesterov"}, "optim.name=sgd", optimizer("sgd")},
	{[]string{"optim.betas", "optim.eps"}, "optim.name=adamw", optimizer("adamw")},
	{[]string{"optim.trust", "optim.plain"}, "optim.name=lars", optimizer("lars")},
	{[]string{"schedule.milestones", "schedule.gamma"}, "schedule.name=multistep", func(c *Config) bool { return c.Schedule.Name == "multistep" }},
	{[]string{"schedule.min_lr"}, "schedule.name=cosine", func(c *Config) bool { return c.Schedule.Name == "cosine" }},
	{[]string{"loss.gamma"}, "loss.name=focal", func(c *Config) bool { return c.Loss.Name == "focal" }},

	{[]string{"data.pad", "data.mirror"}, "data.augment=crop-flip", func(c *Config) bool { return c.Data.Augment == data.AugmentCropFlip }},
	{[]string{"data.crop", "data.flip"}, "data.augment=resized-crop or barlow", func(c *Config) bool {
		return c.Data.Augment == data.AugmentResizedCrop || c.Data.Augment == data.AugmentBarlow
	}},
	{[]string{"data.erase.scale", "data.erase.ratio"}, "data.erase.p above 0", func(c *Config) bool { return c.Data.Erase.P > 0 }},
	{[]string{"data.rand_augment.magnitude"}, "data.rand_augment.ops above 0", func(c *Config) bool { return c.Data.RandAugment.Ops > 0 }},
	{[]string{"data.jitter.p"}, "a colour of data.jitter above 0", func(c *Config) bool {
		j := c.Data.Jitter
		return j.Brightness > 0 || j.Contrast > 0 || j.Saturation > 0 || j.Hue > 0
	}},

	{[]string{"method.lambda", "method.ramp", "method.reduction", "method.normalize", "method.gradient", "method.every", "method.fraction"},
		"a method with the reconciliation term, such as sgr, or method.sgr=true", func(c *Config) bool {
			return c.Method.SGR || c.Method.Name == "sgr" || strings.HasSuffix(c.Method.Name, "-sgr")
		}},
	{[]string{"method.visit", "method.spill", "method.signals"}, "method.resident above 0", func(c *Config) bool { return c.Method.Resident > 0 }},
	{[]string{"method.reconstruction", "method.task"}, "method.name=infopro or infopro-contrast", named("infopro", "infopro-contrast")},
	{[]string{"method.feedback"}, "method.name=dfa, drtp or pepita", named("dfa", "drtp", "pepita")},
	{[]string{"method.redundancy"}, "method.name=barlow, barlow-blockwise or barlow-sgr", named("barlow", "barlow-blockwise", "barlow-sgr")},
	{[]string{"method.noise"}, "method.name=barlow-blockwise", named("barlow-blockwise")},
	{[]string{"method.output_error"}, "method.name=pepita", named("pepita")},

	{[]string{"head.pool"}, "head.name=tokens", head("tokens")},
	{[]string{"head.side"}, "head.name=etf", head("etf")},
	{[]string{"head.widths"}, "head.name=projector", head("projector")},
	{[]string{"head.depth", "head.depth_min", "head.sample"}, "head.name=auglocal", head("auglocal")},

	{[]string{"tune.head_images"}, "tune.head_init=means or probe", func(c *Config) bool { return c.Tune.HeadInit != "fresh" }},
	{[]string{"diagnose.batch"}, "diagnose.every above 0", func(c *Config) bool { return c.Diagnose.Every > 0 }},
}

// governs reports whether a key has an effect only under the condition.
func (w condition) governs(key string) bool {
	return slices.ContainsFunc(w.keys, func(section string) bool { return within(key, section) })
}

func optimizer(names ...string) func(*Config) bool {
	return func(c *Config) bool { return slices.Contains(names, c.Optim.Name) }
}

func named(names ...string) func(*Config) bool {
	return func(c *Config) bool { return slices.Contains(names, c.Method.Name) }
}

func head(name string) func(*Config) bool { return func(c *Config) bool { return c.Head.Name == name } }

// Idle says of which values the user has given, as assignments or in a recipe file of his own, nothing comes: keys that no choice made
// reads, and those that the method decides. It takes what [Load] does. What a recipe builds on is not the user's.
func Idle(nameOrPath string, sets []string) (lines []string, err error) {
	found, err := idle(nameOrPath, nil, sets)
	return found.lines(), err
}

// Arm is a recipe among others that are compared, with its assignments: those that all have, and then its own.
type Arm struct {
	Name, Recipe string
	Shared, Own  []string
}

// IdleAmong is [Idle] for recipes that are compared. What all have is said to have no effect where no arm reads it, for it is
// common to compare methods with assignments that only some read. What an arm has for itself is told by the arm's name.
func IdleAmong(arms []Arm) (lines []string, err error) {
	one := !slices.ContainsFunc(arms, func(a Arm) bool { return a.Recipe != arms[0].Recipe })
	found := make([]idleValues, len(arms))
	for i, a := range arms {
		if found[i], err = idle(a.Recipe, nil, slices.Concat(a.Shared, a.Own)); err != nil {
			return nil, err
		}
	}
	everywhere := func(key string) bool {
		return !slices.ContainsFunc(found, func(v idleValues) bool { return !v.has(key) })
	}
	for i, a := range arms {
		for _, v := range found[i] {
			switch shared := assigns(a.Shared, v.key); {
			case assigns(a.Own, v.key), !shared && !one: // in a recipe file that others do not have
				if len(arms) > 1 {
					v.text = show.Name(a.Name) + ": " + v.text
				}
				lines = append(lines, v.text)
			case i == 0 && everywhere(v.key):
				lines = append(lines, v.text)
			}
		}
	}
	return lines, nil
}

// assigns reports whether one of some assignments gives a key a value, or a key of its section.
func assigns(sets []string, key string) bool {
	return slices.ContainsFunc(sets, func(set string) bool {
		name, _, _ := strings.Cut(set, "=")
		name = strings.TrimSpace(name)
		return within(key, name) || within(name, key)
	})
}

type idleValues []struct{ key, text string }

func (v idleValues) has(key string) bool {
	return slices.ContainsFunc(v, func(each struct{ key, text string }) bool { return each.key == key })
}

func (v idleValues) lines() []string {
	var lines []string
	for _, each := range v {
		lines = append(lines, each.text)
	}
	return lines
}

// TunedIdle is Idle for what [Tuned] takes. What the weights say of their network is not the user's.
func TunedIdle(from string, sets []string) (lines []string, err error) {
	_, known, err := NetworkOf(from)
	if err != nil {
		return nil, err
	}
	values, err := idle("finetune", known, sets)
	return values.lines(), err
}

func idle(nameOrPath string, known, sets []string) (values idleValues, err error) {
	add := func(key, format string, args ...any) {
		values = append(values, struct{ key, text string }{key, key + fmt.Sprintf(format, args...)})
	}
	source, err := recipe.Open(nameOrPath)
	if err != nil {
		return nil, err
	}
	var asked Config
	origins, err := source.Lay(&asked)
	if err != nil {
		return nil, err
	}
	for i, s := range slices.Concat(known, sets) {
		origin := given
		if i < len(known) {
			origin = found
		}
		if err := origins.Set(&asked, s, origin); err != nil {
			return nil, err
		}
	}
	theirs := func(key string) bool {
		from, set := origins[key]
		return set && (from == given || from == source.Title() && !source.Embedded())
	}
	c, _, err := resolve(source, slices.Concat(known, sets))
	if err != nil {
		return nil, err
	}
	asked.Name = c.Name // which is found, and decides nothing
	decided, err := recipe.Differ(&asked, &c)
	if err != nil {
		return nil, err
	}
	for _, d := range decided {
		if theirs(d.Key) {
			add(d.Key, "=%s is not taken: method %s has %s", d.A, c.Method.Name, d.B)
		}
	}
	defaults := Defaults()
	changed, err := recipe.Differ(&defaults, &asked)
	if err != nil {
		return nil, err
	}
	for _, d := range changed {
		for _, when := range conditions {
			if theirs(d.Key) && when.governs(d.Key) && !when.holds(&c) {
				add(d.Key, "=%s has no effect here: it needs %s", d.B, when.needs)
			}
		}
	}
	return values, nil
}

// Origins of what assignments set: the user's, and those that weights ask for.
const (
	given = "--set"
	found = "weights"
)
