package cli

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/safetensors"
	"github.com/locus-learn/locus/study"
	"github.com/locus-learn/locus/train"
)

// tensorsOf are the bytes of a checkpoint's tensors, without what it says besides; those whose names have one of some words are left out.
func tensorsOf(t *testing.T, path string, without ...string) []byte {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all bytes.Buffer
	names := slices.DeleteFunc(f.Names(), func(name string) bool {
		return slices.ContainsFunc(without, func(word string) bool { return strings.Contains(name, word) })
	})
	slices.Sort(names)
	for _, name := range names {
		content, err := f.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "%s %d\n", name, len(content))
		all.Write(content)
	}
	return all.Bytes()
}

// A value that is said to have no effect has none: the weights end with the same bits. Where what it needs is there, it has one.
func TestIdleValues(t *testing.T) {
	b := newWorkbench(t)
	runs := map[string][]byte{}
	weights := func(sets []string) []byte {
		key := strings.Join(sets, " ")
		if runs[key] == nil {
			out := fmt.Sprint("run", len(runs))
			args := b.train(out, "--steps", "3")
			for _, set := range sets {
				args = append(args, "--set", set)
			}
			succeed(t, args...)
			runs[key] = tensorsOf(t, b.path(out+"/last.safetensors"))
		}
		return runs[key]
	}
	adamw := []string{"optim.name=adamw", "optim.lr=0.01"}
	lars := []string{"optim.name=lars", "optim.decay=weights"}
	bp := []string{"method.name=bp"}
	crop := []string{"data.augment=resized-crop"}
	for _, c := range []struct {
		set    string
		idle   []string // with these it has no effect
		needs  string   // as the warning says
		active []string // with these it has one; nil where the bits cannot tell
	}{
		{set: "optim.momentum=0.5", idle: adamw, needs: "optim.name=sgd", active: []string{}},
		{set: "optim.nesterov=true", idle: adamw, needs: "optim.name=sgd", active: []string{}},
		{set: "optim.nesterov=true", idle: lars, needs: "optim.name=sgd"},
		{set: "optim.betas=0.5,0.6", needs: "optim.name=adamw", active: adamw},
		{set: "optim.eps=0.1", idle: lars, needs: "optim.name=adamw", active: adamw},
		{set: "optim.trust=0.1", needs: "optim.name=lars", active: lars},
		{set: "optim.plain=0.1", idle: adamw, needs: "optim.name=lars", active: lars},
		{set: "schedule.milestones=1", needs: "schedule.name=multistep", active: []string{"schedule.name=multistep", "schedule.epochs=3", "data.batch=40"}},
		{set: "schedule.gamma=0.5", idle: []string{"schedule.name=constant"}, needs: "schedule.name=multistep",
			active: []string{"schedule.name=multistep", "schedule.milestones=1", "data.batch=40"}},
		{set: "schedule.min_lr=0.05", idle: []string{"schedule.name=constant"}, needs: "schedule.name=cosine", active: []string{}},
		{set: "loss.gamma=4", needs: "loss.name=focal", active: []string{"loss.name=focal"}},
		{set: "data.crop.scale=0.5,0.6", needs: "data.augment=resized-crop", active: crop},
		{set: "data.crop.ratio=1,1", idle: []string{"data.augment=crop-flip"}, needs: "data.augment=resized-crop", active: crop},
		{set: "data.flip=0", idle: []string{"data.augment=crop-flip"}, needs: "data.augment=resized-crop", active: crop},
		{set: "data.pad=1", needs: "data.augment=crop-flip", active: []string{"data.augment=crop-flip"}},
		{set: "data.mirror=turns", needs: "data.augment=crop-flip", active: []string{"data.augment=crop-flip"}},
		{set: "data.erase.scale=0.5,0.6", needs: "data.erase.p", active: []string{"data.erase.p=1"}},
		{set: "data.erase.ratio=1,1", needs: "data.erase.p", active: []string{"data.erase.p=1"}},
		{set: "data.rand_augment.magnitude=20", needs: "data.rand_augment.ops", active: []string{"data.rand_augment.ops=2"}},
		{set: "data.jitter.p=0.5", needs: "data.jitter", active: []string{"data.jitter.brightness=0.5"}},
		{set: "method.lambda=3", idle: bp, needs: "sgr", active: []string{}},
		{set: "method.lambda=3", idle: []string{"method.name=layerwise"}, needs: "sgr", active: []string{"method.name=layerwise", "method.sgr=true"}},
		{set: "method.ramp=0.5", idle: []string{"method.name=greedy", "schedule.epochs=1"}, needs: "sgr", active: []string{}},
		{set: "method.reduction=sum", idle: bp, needs: "sgr", active: []string{"method.lambda=0.01"}},
		{set: "method.normalize=false", idle: []string{"method.name=dgl"}, needs: "sgr", active: []string{}},
		{set: "method.gradient=tangent", idle: []string{"method.name=layerwise"}, needs: "sgr", active: []string{}},
		{set: "method.every=2", idle: bp, needs: "sgr", active: []string{}},
		{set: "method.fraction=0.5", idle: []string{"method.name=layerwise"}, needs: "sgr", active: []string{}},
		{set: "method.visit=1", needs: "method.resident"},
		{set: "method.signals=spill", needs: "method.resident"},
		{set: "method.reconstruction=1,2", needs: "infopro"},
		{set: "method.task=1,2", needs: "infopro"},
		{set: "method.feedback=2", needs: "dfa"},
		{set: "method.redundancy=1", needs: "barlow"},
		{set: "method.noise=1", needs: "barlow-blockwise"},
		{set: "method.output_error=first", needs: "pepita"},
		{set: "head.pool=class", needs: "head.name=tokens"},
		{set: "head.side=2", needs: "head.name=etf"},
		{set: "head.widths=8,8", needs: "head.name=projector"},
		{set: "head.depth=1", needs: "head.name=auglocal", active: []string{"head.name=auglocal"}},
		{set: "head.depth_min=1", needs: "head.name=auglocal", active: []string{"head.name=auglocal", "method.modules=4"}},
		{set: "head.sample=next", needs: "head.name=auglocal", active: []string{"head.name=auglocal", "head.depth=1"}},
		{set: "tune.head_images=9", needs: "tune.head_init"},
		{set: "diagnose.batch=4", needs: "diagnose.every"},
	} {
		told, err := train.Idle(b.recipe, append(slices.Clone(c.idle), c.set))
		key, _, _ := strings.Cut(c.set, "=")
		if err != nil || !slices.ContainsFunc(told, func(line string) bool {
			return strings.HasPrefix(line, key+"=") && strings.Contains(line, "has no effect here: it needs") && strings.Contains(line, c.needs)
		}) {
			t.Errorf("%s with %q: told %q, %v", c.set, c.idle, told, err)
		}
		if !bytes.Equal(weights(c.idle), weights(append(slices.Clone(c.idle), c.set))) {
			t.Errorf("%s with %q is said to have no effect, and has one", c.set, c.idle)
		}
		if c.active == nil {
			continue
		}
		if told, err := train.Idle(b.recipe, append(slices.Clone(c.active), c.set)); err != nil || slices.ContainsFunc(told, func(line string) bool { return strings.HasPrefix(line, key+"=") }) {
			t.Errorf("%s with %q: told %q, %v", c.set, c.active, told, err)
		}
		if bytes.Equal(weights(c.active), weights(append(slices.Clone(c.active), c.set))) {
			t.Errorf("%s with %q has no effect, and is not said to have none", c.set, c.active)
		}
	}
}

// A run that ends before its first update is told so.
func TestAccumulationLongerThanTheRun(t *testing.T) {
	b := newWorkbench(t)
	for steps, told := range map[string]bool{"4": true, "5": false, "0": false} {
		r := locus(t.Context(), b.train("run"+steps, "--steps", steps, "--set", "optim.accumulate=5")...)
		if r.code != 0 || strings.Contains(r.err, "nothing is learned") != told {
			t.Errorf("%s steps: exit code %d\n%s", steps, r.code, r.err)
		}
	}
	parameters := func(run string) []byte {
		return tensorsOf(t, b.path(run+"/last.safetensors"), "running_", "num_batches")
	}
	if !bytes.Equal(parameters("run4"), parameters("run0")) || bytes.Equal(parameters("run5"), parameters("run0")) {
		t.Error("something is learned")
	}
}

// Commands that compare recipes tell of values that all have where no recipe reads them, and of an arm's own by its name.
func TestIdleValuesOfArms(t *testing.T) {
	for name, c := range map[string]struct {
		doc  string
		want []string
	}{
		"of all, read by one":  {"set: [method.lambda=0.5]\narms:\n- {name: a, recipe: tiny.yaml, set: [method.name=bp]}\n- {name: b, recipe: tiny.yaml}", nil},
		"of all, read by none": {"set: [optim.eps=0.1]\narms:\n- {name: a, recipe: tiny.yaml}\n- {name: b, recipe: tiny.yaml}", []string{"optim.eps=0.1 has"}},
		"its own":              {"arms:\n- {name: a, recipe: tiny.yaml}\n- {name: b, recipe: tiny.yaml, set: [head.depth=2]}", []string{"b: head.depth=2 has"}},
		"of all and its own": {"set: [method.lambda=0.5]\narms:\n- {name: a, recipe: tiny.yaml}\n- {name: b, recipe: tiny.yaml, set: [method.name=bp, method.lambda=0.25]}",
			[]string{"b: method.lambda=0.25 has"}},
		"a grid":            {"arms:\n- {name: a, recipe: tiny.yaml, set: ['head.side=2,3']}\n- {name: b, recipe: tiny.yaml}", []string{"a,side=2: head.side=2 has", "a,side=3: head.side=3 has"}},
		"a file of its own": {"arms:\n- {name: a, recipe: tiny.yaml}\n- {name: b, recipe: idle.yaml}", []string{"b: loss.gamma=4 has"}},
		"one file, read by none": {"arms:\n- {name: a, recipe: idle.yaml}\n- {name: b, recipe: idle.yaml, set: [method.name=bp, method.modules=1]}",
			[]string{"loss.gamma=4 has"}},
		"one file, read by one": {"arms:\n- {name: a, recipe: idle.yaml, set: [loss.name=focal]}\n- {name: b, recipe: idle.yaml}", nil},
		"decided by the method": {"arms:\n- {name: a, recipe: tiny.yaml, set: [method.name=bp, method.modules=2]}\n- {name: b, recipe: tiny.yaml}",
			[]string{"a: method.modules=2 is not taken"}},
		"a single arm": {"arms:\n- {name: a, recipe: tiny.yaml, set: [head.side=2]}", []string{"head.side=2 has"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newWorkbench(t)
			write(t, b.path("idle.yaml"), []byte(tiny+"loss: {gamma: 4}\n"))
			write(t, b.path("s.yaml"), []byte(c.doc+"\n"))
			s, err := study.Open(b.path("s.yaml"), study.Options{})
			if err != nil {
				t.Fatal(err)
			}
			told, err := s.Idle()
			if err != nil || len(told) != len(c.want) {
				t.Fatalf("told %q, %v, want %q", told, err, c.want)
			}
			for i, line := range told {
				if !strings.HasPrefix(line, c.want[i]) {
					t.Errorf("told %q, want %q", told, c.want)
				}
			}
		})
	}
}

// Every command that trains for a recipe's sake tells of such values.
func TestIdleValuesAreTold(t *testing.T) {
	b, study := newStudyBench(t, tinyStudy+"set: [loss.gamma=4]\n")
	compare := []string{"compare", "--methods", "bp,sgr", b.recipe, "--data", b.data, "--steps", "1", "--out", b.path("compared"), "--set", "loss.gamma=4"}
	for _, line := range [][]string{
		study("--dry-run"),
		compare,
		{"lr-find", b.recipe, "--data", b.data, "--steps", "10", "--out", b.path("rates"), "--set", "loss.gamma=4"},
		b.train("run", "--steps", "1", "--set", "loss.gamma=4"),
	} {
		if r := locus(t.Context(), line...); r.code != 0 || strings.Count(r.err, "warning: loss.gamma=4 has no effect here: it needs loss.name=focal") != 1 {
			t.Errorf("%s: exit code %d\n%s", line[0], r.code, r.err)
		}
	}
	if r := locus(t.Context(), append(compare, "--resume")...); r.code != 0 || strings.Contains(r.err, "loss.gamma") {
		t.Errorf("resumed: exit code %d\n%s", r.code, r.err)
	}
}
