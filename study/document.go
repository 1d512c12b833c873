package study

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
)

// document is a study as it is written down.
type document struct {
	About    string           `yaml:"about"`
	Metric   Metric           `yaml:"metric"`
	Baseline string           `yaml:"baseline"`
	Seeds    seeds            `yaml:"seeds"`
	Budget   float64          `yaml:"budget"`
	Set      []string         `yaml:"set"` // overrides of all arms
	Scales   map[string]scale `yaml:"scales"`
	Arms     []armDocument    `yaml:"arms"`
}

// scale is what changes where a study is run at it.
type scale struct {
	About string   `yaml:"about"`
	Seeds seeds    `yaml:"seeds"`
	Set   []string `yaml:"set"` // behind the study's, in front of an arm's own
}

type armDocument struct {
	Name     string  `yaml:"name"`
	Recipe   byScale `yaml:"recipe"`
	Set      sets    `yaml:"set"`
	Paper    float64 `yaml:"paper"`
	Baseline string  `yaml:"baseline"`
}

// byScale is one name, or one a scale; a scale that is not there has that of the next larger one that is.
type byScale map[string]string

// UnmarshalYAML implements yaml's interface.
func (b *byScale) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*b = byScale{"": n.Value}
		return nil
	}
	return n.Decode((*map[string]string)(b))
}

// sets are overrides: a list for all scales, or one a scale.
type sets struct {
	all     []string
	byScale map[string][]string
}

// UnmarshalYAML implements yaml's interface.
func (s *sets) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.MappingNode {
		return n.Decode(&s.byScale)
	}
	return n.Decode(&s.all)
}

func (s sets) at(scale string) []string { return slices.Concat(s.all, s.byScale[scale]) }

// seeds is a number of them, from 1 on, or a list.
type seeds []uint64

// UnmarshalYAML implements yaml's interface.
func (s *seeds) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.SequenceNode {
		for _, each := range n.Content {
			var seed uint64
			if err := each.Decode(&seed); err != nil {
				return fault.New("line %d: seeds has %s: must be whole numbers at least 0", each.Line, show.Name(each.Value))
			}
			*s = append(*s, seed)
		}
		return nil
	}
	var count int
	if err := n.Decode(&count); err != nil || count < 1 || count > mostSeeds {
		return fault.New("line %d: seeds is %s: must be a number from 1 to %d, or a list of seeds", n.Line, show.Name(n.Value), mostSeeds)
	}
	*s = nil
	for i := range count {
		*s = append(*s, uint64(i)+1)
	}
	return nil
}

// Limits of a document.
const (
	mostBytes = 1 << 20
	mostSeeds = 10_000

	// MostCells is how many a study has at most unless somebody says that this is meant.
	MostCells = 10_000
)

// Options are what a command line says about a study.
type Options struct {
	Scale string
	Seeds int  // in place of the document's; 0: those
	Many  bool // more than MostCells are meant
}

// Open reads a study: an embedded one by its name, or a file if the name has a path separator or ends in .yaml or .yml.
func Open(nameOrPath string, o Options) (*Study, error) {
	name, doc, dir, err := find(nameOrPath)
	if err != nil {
		return nil, err
	}
	s, err := parse(name, doc, dir, o)
	if err != nil {
		return nil, fault.New("study %s: %w", show.Name(nameOrPath), err)
	}
	return s, nil
}

// find returns a study's document and the folder that its paths are relative to.
func find(nameOrPath string) (name string, doc []byte, dir string, err error) {
	if !isFile(nameOrPath) {
		doc, err := embedded(nameOrPath)
		return nameOrPath, doc, "", err
	}
	doc, err = disk.ReadFile(nameOrPath)
	if err != nil {
		cause, _ := disk.Cause(err)
		return "", nil, "", fault.New("study %s cannot be read: %w", show.Name(nameOrPath), cause)
	}
	if len(doc) > mostBytes {
		return "", nil, "", fault.New("study %s is too large: must have at most %d bytes", show.Name(nameOrPath), mostBytes)
	}
	return strings.TrimSuffix(filepath.Base(nameOrPath), filepath.Ext(nameOrPath)), doc, filepath.Dir(nameOrPath), nil
}

func isFile(name string) bool {
	ext := filepath.Ext(name)
	return strings.ContainsRune(filepath.ToSlash(name), '/') || ext == ".yaml" || ext == ".yml"
}

// parse makes a study of a document. Its errors do not name it.
func parse(name string, doc []byte, dir string, o Options) (*Study, error) {
	var d document
	decoder := yaml.NewDecoder(bytes.NewReader(doc))
	decoder.KnownFields(true)
	if err := decoder.Decode(&d); err != nil && !errors.Is(err, io.EOF) {
		return nil, wording(err)
	}
	s := &Study{
		Name: name, About: d.About, Metric: cmp.Or(d.Metric, Last), Budget: d.Budget, Seeds: d.Seeds, Doc: doc,
	}
	if len(d.Arms) == 0 {
		return nil, fault.New("it has no arms: must list at least one, with a name and a recipe")
	}
	if !(d.Budget >= 0) || math.IsInf(d.Budget, 1) {
		return nil, fault.New("budget is %g: must be hours of training, at least 0", d.Budget)
	}
	if err := s.at(d, o.Scale); err != nil {
		return nil, err
	}
	if o.Seeds > 0 {
		s.SetSeeds(o.Seeds)
	}
	if len(s.Seeds) == 0 {
		s.SetSeeds(1)
	}
	if twice := repeated(s.Seeds); twice != nil {
		return nil, fault.New("seeds has %d twice: each must stand once", *twice)
	}
	if err := s.addArms(d, dir, o.Many); err != nil {
		return nil, err
	}
	return s, s.pair(d.Baseline)
}

// pair gives every arm its baseline: its own, that of the study, or else the first arm.
func (s *Study) pair(baseline string) error {
	s.Baseline = cmp.Or(baseline, s.Arms[0].Name)
	for i := range s.Arms {
		a := &s.Arms[i]
		a.Baseline = cmp.Or(a.Baseline, s.Baseline)
		if _, err := s.arm(a.Baseline, "baseline"); err != nil {
			return err
		}
	}
	return nil
}

// at chooses a scale.
func (s *Study) at(d document, asked string) error {
	if len(d.Scales) == 0 {
		if asked != "" {
			return fault.New("--scale is %q: must be left away, as this study has no scales", asked)
		}
		return nil
	}
	s.Scale = cmp.Or(asked, Scales[0])
	chosen, ok := d.Scales[s.Scale]
	if !ok {
		return fault.New("--scale is %q: must be one of %s", s.Scale, strings.Join(slices.Sorted(maps.Keys(d.Scales)), ", "))
	}
	if chosen.Seeds != nil {
		s.Seeds = chosen.Seeds
	}
	if chosen.About != "" {
		s.About = strings.TrimSpace(s.About + " " + chosen.About)
	}
	return nil
}

// Scales are the names of scales, from the shortest on: minutes a cell, an hour a cell on two cores, and the paper's.
var Scales = []string{"short", "medium", "full"}

// at returns the name for a scale: its own, or that of the next larger one, or the one for all.
func (b byScale) at(scale string) string {
	if name, ok := b[scale]; ok {
		return name
	}
	if i := slices.Index(Scales, scale); i >= 0 {
		for _, larger := range Scales[i:] {
			if name, ok := b[larger]; ok {
				return name
			}
		}
	}
	return b[""]
}

func repeated(seeds []uint64) *uint64 {
	sorted := slices.Sorted(slices.Values(seeds))
	for i := 1; i < len(sorted); i++ {
		if sorted[i] == sorted[i-1] {
			return &sorted[i]
		}
	}
	return nil
}

var (
	unknownKey = regexp.MustCompile(`line (\d+): field (\S+) not found in type .*`)
	types      = strings.NewReplacer("[]study.armDocument", "a list of arms", "study.armDocument", "an arm", "[]string", "a list of texts", "study.document", "a study")
)

// wording says in one line what YAML found wrong.
func wording(err error) error {
	if fault.Is(err) {
		return err
	}
	text := strings.Join(strings.Fields(strings.TrimPrefix(strings.TrimPrefix(err.Error(), "yaml: "), "unmarshal errors: ")), " ")
	text = strings.TrimPrefix(text, "unmarshal errors: ")
	if m := unknownKey.FindStringSubmatch(text); m != nil {
		return fault.New("line %s: unknown key %s: 'locus study --help' lists the keys", m[1], m[2])
	}
	return fault.New("%s", types.Replace(text))
}

// label is how a value is named in a message.
func label(kind, name string) string { return fmt.Sprintf("%s %s", kind, show.Name(name)) }
