package cli

import (
	"strings"
	"testing"

	"github.com/locus-learn/locus/recipe"
	"github.com/locus-learn/locus/train"
)

func numbers(t *testing.T) (keys []recipe.Key) {
	t.Helper()
	all, err := recipe.Keys(&train.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range all {
		if k.High != "" {
			keys = append(keys, k)
		}
	}
	return keys
}

// What can be written can be built: every number has a lower and an upper bound, or says why it has none.
func TestEveryNumberIsBounded(t *testing.T) {
	open, err := recipe.Unbounded(&train.Config{})
	if err != nil || len(open) > 0 {
		t.Errorf("numbers without both bounds: %v, %v", open, err)
	}
	if n := len(numbers(t)); n < 60 {
		t.Errorf("%d numbers with bounds", n)
	}
}

func TestExtremeValuesAreRefused(t *testing.T) {
	extremes := []string{"1e300", "-1e300", "9223372036854775807", "-9223372036854775808", "1e9999", "NaN", ".inf"}
	for _, k := range numbers(t) {
		for _, value := range extremes {
			refuse(t, []string{k.Path}, "show", "--set", k.Path+"="+value)
		}
	}
	for _, assignment := range []string{
		"data.validation=1e300", "data.broken=1e300", "data.validation=-1e-320", "data.erase.ratio=1e-300,1e300", "data.crop.ratio=1e-300,1e300", "data.crop.scale=1e-320,1", "data.std=1e-320,1,1",
		"head.widths=" + strings.Repeat("1,", 100000) + "1", "schedule.milestones=" + strings.Repeat("1,", 100000) + "1",
		"method.cuts=" + strings.Repeat("stem,", 100000) + "stem", "seed=1e300", "seed=-1",
		"name=../../x", "name=..", "name=a/b", `name=a\b`, "name=/tmp/x", "name=a\x1b[31m", "name=" + strings.Repeat("x", 300),
	} {
		key, _, _ := strings.Cut(assignment, "=")
		refuse(t, []string{key}, "show", "--set", assignment)
	}
	for _, key := range []string{"mixup", "cutmix"} {
		refuse(t, []string{"data: ", key, "1e-320", "0.001"}, "show", "--set", "data."+key+"=1e-320")
	}
}

// All keys at once at a bound, or far beyond it, are refused before anything is made.
func TestExtremesAtOnce(t *testing.T) {
	b := newWorkbench(t)
	for name, value := range map[string]func(recipe.Key) string{
		"far":  func(recipe.Key) string { return "1e300" },
		"high": func(k recipe.Key) string { return k.High },
	} {
		args := b.train(name)
		for _, k := range numbers(t) {
			args = append(args, "--set", k.Path+"="+value(k))
		}
		refuse(t, nil, args...)
	}
}

// Sizes at their upper bounds, which no machine has the memory for, end in a fault instead of an allocation.
func TestLargestSizes(t *testing.T) {
	b := newWorkbench(t)
	for _, sets := range []string{
		"model.width=65536", "model.classes=100000 model.width=65536", "model.name=mlp model.width=65536 model.depth=4096 method.modules=1 method.name=bp",
		"model.name=vit_b model.width=65532 model.patch=4 head.name=tokens", "model.name=vgg16 model.width=65536 model.classes=100000",
		"head.width=65536 model.classes=100000", "method.name=etf model.name=mlp model.classes=100000 model.width=65536",
		"method.name=drtp model.name=plain7 model.width=65536", "method.name=dgl model.width=4096",
		"method.name=barlow data.augment=barlow head.widths=65536,65536,65536", "head.name=auglocal model.width=8192",
		"data.batch=65536", "threads=1024 data.batch=65536", "data.workers=256 data.batch=65536",
	} {
		args := b.train(strings.ReplaceAll(sets, " ", "-"))
		for set := range strings.FieldsSeq(sets) {
			args = append(args, "--set", set)
		}
		refuse(t, nil, args...)
	}
}

// Numbers of steps that would overflow are refused.
func TestMostSteps(t *testing.T) {
	b := newWorkbench(t)
	refuse(t, []string{"9223372036854775807", "at most"}, b.train("run", "--steps", "9223372036854775807")...)
	refuse(t, []string{"at most"}, "compare", b.recipe, "--data", b.data, "--out", b.path("both"), "--steps", "9223372036854775807")
}
