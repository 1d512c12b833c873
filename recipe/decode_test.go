package recipe

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/locus-learn/locus/internal/fault"
)

func TestDecode(t *testing.T) {
	tests := []struct {
		name, doc string
		want      func(*config)
	}{
		{"empty", "", func(*config) {}},
		{"comment", "# nothing\n", func(*config) {}},
		{"empty document", "---\n", func(*config) {}},
		{"empty sections", "data: {}\nempty: {}\n", func(*config) {}},
		{"json", `{"seed": 3, "data": {"shuffle": false}}`, func(c *config) { c.Seed, c.Data.Shuffle = 3, false }},
		{"exponents", "seed: 1e4\noptim: {lr: 5e-4, min_lr: .5}\n",
			func(c *config) { c.Seed, c.Optim.LR, c.Optim.MinLR = 10000, 5e-4, .5 }},
		{"leading zero is decimal", "seed: 010\n", func(c *config) { c.Seed = 10 }},
		{"words as text", "name: 1e3\ndata: {files: [true, \"null\", 'a: b']}\n",
			func(c *config) { c.Name, c.Data.Files = "1e3", []string{"true", "null", "a: b"} }},
		{"block list", "optim:\n  milestones:\n  - 1\n  - 2\n", func(c *config) { c.Optim.Milestones = []int{1, 2} }},
		{"empty list", "optim: {milestones: []}\n", func(c *config) { c.Optim.Milestones = nil }},
		{"text type", "data: {validation: 0.10}\n", func(c *config) { c.Data.Validation.text = "0.10" }},
		{"text type as list", "data: {validation: [3, a]}\n", func(c *config) { c.Data.Validation.text = "3,a" }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, want := defaults(t), defaults(t)
			if err := Decode("run.yaml", []byte(test.doc), got); err != nil {
				t.Fatal(err)
			}
			test.want(want)
			if diff := cmp.Diff(want, got, compareConfigs); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Names that this program does not know are taken from a document that was written, and nothing else that Decode refuses.
func TestRecall(t *testing.T) {
	type section struct {
		Chosen chooser `recipe:"chosen"`
		Rule   string  `recipe:"rule" default:"sgd" oneof:"sgd adamw"`
	}
	for _, c := range []struct{ doc, want string }{
		{"chosen: {name: mine}", ""},
		{"rule: mine", "run.yaml:1: rule is mine: must be one of sgd, adamw"},
		{"chosen: {nam: mine}", "run.yaml:1: unknown key chosen.nam"},
		{"chosen: {name: [mine]}", "run.yaml:1: chosen.name is a list of 1"},
	} {
		var cfg section
		switch err := Recall("run.yaml", []byte(c.doc), &cfg); {
		case c.want == "" && (err != nil || cfg.Chosen.Name != "mine"):
			t.Errorf("%s: %+v, error %v", c.doc, cfg, err)
		case c.want != "" && (!fault.Is(err) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: error %v, want %s", c.doc, err, c.want)
		}
	}
}

func TestDecodeFaults(t *testing.T) {
	tests := []struct{ doc, want string }{
		{"[1]", "run.yaml:1: the recipe is a list of 1: must be a mapping of keys"},
		{"~", "run.yaml:1: the recipe is null: must be a mapping of keys"},
		{"seed: 1\n\nsede: 2", "run.yaml:3: unknown key sede: the keys of the recipe are name, seed, threads, data, optim, empty"},
		{"data:\n  shufle: 1", "run.yaml:2: unknown key data.shufle: did you mean data.shuffle?"},
		{"epochs: 1", "run.yaml:1: unknown key epochs: the keys of the recipe are name, seed, threads, data, optim, empty"},
		{"milestones: []", "run.yaml:1: unknown key milestones: did you mean optim.milestones?"},
		{"<<: {seed: 1}", `run.yaml:1: unknown key "<<": the keys of the recipe are name, seed, threads, data, optim, empty`},
		{"[a]: 1", "run.yaml:1: a key of the recipe is a list of 1: must be a word"},
		{"seed: 1\nseed: 2", "run.yaml:2: key seed stands in line 1 already: must stand once"},
		{"data:", "run.yaml:1: data is null: must be a mapping of keys"},
		{"seed: null", "run.yaml:1: seed is null: must be a whole number at least 0"},
		{"name: ~", "run.yaml:1: name is null: must be UTF-8 text"},
		{"data: {validation: }", "run.yaml:1: data.validation is null: must be a fraction below 1 or a count"},
		{"seed: [1]", "run.yaml:1: seed is a list of 1: must be a whole number at least 0"},
		{`seed: "1"`, `run.yaml:1: seed is "1": must be a whole number at least 0`},
		{"seed: 0.5", "run.yaml:1: seed is 0.5: must be a whole number at least 0"},
		{"threads: 300", "run.yaml:1: threads is 300: must fit in 8 bits"},
		{"optim: {lr: .inf}", "run.yaml:1: optim.lr is .inf: must be a number above 0 and at most 10"},
		{"optim: {lr: {a: 1}}", "run.yaml:1: optim.lr is a mapping: must be a number above 0 and at most 10"},
		{"optim:\n  milestones:\n  - 1\n  - 0", "run.yaml:4: optim.milestones[1] is 0: must be a whole number at least 1"},
		{"optim: {milestones: 3}", "run.yaml:1: optim.milestones is 3: must be a list, each a whole number at least 1"},
		{"data: {files: [~]}", "run.yaml:1: data.files[0] is null: must be UTF-8 text"},
		{"data: {validation: x}", "run.yaml:1: data.validation is x: must be a fraction or a count"},
		{"name: &a b\ndata: {set: *a}", "run.yaml:1: anchor &a: must be plain YAML without anchors, aliases and tags"},
		{"seed: !!int 3", "run.yaml:1: tag !!int: must be plain YAML without anchors, aliases and tags"},
		{"seed: 1\n---\nseed: 2", "run.yaml:2: a second document begins: must be the only one"},
		{"data:\n\tset: x", "run.yaml:2: not valid YAML: a tab, or another character that no value begins with; lines are indented by spaces"},
		{"seed: 1\n\tthreads: 2", "run.yaml:2: not valid YAML: found a tab character that violates indentation"},
		{"name: " + strings.Repeat("é", 100) + "\nseed: " + strings.Repeat("é", 100),
			`run.yaml:2: seed is "` + strings.Repeat("é", 30) + `…": must be a whole number at least 0`},
		{strings.Repeat("#", maxDocument+1), "run.yaml: document has 1048577 bytes: must have at most 1048576"},
	}
	for _, test := range tests {
		checkFault(t, test.doc[:min(len(test.doc), 80)], Decode("run.yaml", []byte(test.doc), defaults(t)), test.want)
	}
}

func TestEncode(t *testing.T) {
	c := defaults(t)
	c.Name = "no"
	c.Seed = math.MaxUint64
	c.Data.Files = []string{"a/b.gz", "", "1", "x: \"y\"\n\x00é\u2028", " #"}
	c.Data.Mean = []float32{0.1, 1e-9}
	c.Optim.MinLR = math.Copysign(0, -1)
	want := `name: "no"
seed: 18446744073709551615
threads: 0
data:
  set: mnist
  shuffle: true
  validation: 0
  mean: [0.1, 1e-09]
  files: [a/b.gz, "", "1", "x: \"y\"\n\x00é\u2028", " #"]
optim:
  lr: 0.1
  min_lr: -0
  milestones: [100, 150]
empty: {}
`
	checkRoundTrip(t, c)
	if got, _ := Encode(c); string(got) != want {
		t.Error(cmp.Diff(want, string(got)))
	}
	c.Optim.LR = math.NaN()
	_, err := Encode(c)
	checkFault(t, "NaN", err, "optim.lr is NaN: must be a number above 0 and at most 10")
}

// checkRoundTrip encodes c and decodes it over a configuration that differs in every key.
func checkRoundTrip(t *testing.T, c *config) {
	t.Helper()
	doc, err := Encode(c)
	if err != nil {
		t.Fatal(err)
	}
	got := &config{"other", 99, 99, data{"", false, amount{"?"}, []float32{9}, []string{"?"}}, optim{9, 9, []int{9}}, struct{}{}, nil, 0}
	if err := Decode("resolved", doc, got); err != nil {
		t.Fatalf("%v\n%s", err, doc)
	}
	if diff := cmp.Diff(c, got, compareConfigs); diff != "" {
		t.Errorf("%s\n%s", diff, doc)
	}
	if again, err := Encode(got); err != nil || !bytes.Equal(doc, again) {
		t.Errorf("encoded again: %v\n%s\nbefore:\n%s", err, again, doc)
	}
}
