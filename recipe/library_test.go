package recipe

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// known has the top-level sections of a run, with the keys that the embedded recipes use.
type known struct {
	Data struct {
		Set       string    `recipe:"set" oneof:"fashion-mnist cifar10 cifar100 folder"`
		Dir       string    `recipe:"dir"`
		Batch     int       `recipe:"batch" default:"128"`
		Augment   string    `recipe:"augment" default:"none" oneof:"none crop-flip resized-crop barlow"`
		Limit     int       `recipe:"limit"`
		TestLimit int       `recipe:"test_limit"`
		Mean      []float64 `recipe:"mean" default:""`
		Std       []float64 `recipe:"std" default:""`
		Crop      struct {
			Scale []float64 `recipe:"scale" default:"0.08,1"`
		} `recipe:"crop"`
		RandAugment struct {
			Ops       int `recipe:"ops"`
			Magnitude int `recipe:"magnitude" default:"9"`
		} `recipe:"rand_augment"`
		Erase struct {
			P float64 `recipe:"p"`
		} `recipe:"erase"`
		Mixup  float64 `recipe:"mixup"`
		CutMix float64 `recipe:"cutmix"`
	} `recipe:"data"`
	Model struct {
		Name     string  `recipe:"name"`
		Width    int     `recipe:"width"`
		Depth    int     `recipe:"depth"`
		DropPath float64 `recipe:"drop_path"`
	} `recipe:"model"`
	Method struct {
		Name      string   `recipe:"name" oneof:"bp layerwise sgr greedy dgl infopro infopro-contrast reforward etf etf-sgr etf-reforward fa dfa drtp pepita barlow barlow-blockwise barlow-sgr"`
		Modules   int      `recipe:"modules"`
		Cuts      []string `recipe:"cuts" default:""`
		SGR       bool     `recipe:"sgr"`
		Lambda    float64  `recipe:"lambda" default:"1"`
		Reduction string   `recipe:"reduction" default:"mean" oneof:"mean batch sum"`
		Normalize bool     `recipe:"normalize" default:"true"`
		Gradient  string   `recipe:"gradient" default:"auto" oneof:"auto directional double exact paper"`
		Feedback  float64  `recipe:"feedback" default:"1"`
		Error     string   `recipe:"output_error" default:"second" oneof:"second first"`

		Smoothing      float64   `recipe:"label_smoothing"`
		Reconstruction []float64 `recipe:"reconstruction" default:""`
		Task           []float64 `recipe:"task" default:""`
	} `recipe:"method"`
	Head struct {
		Name  string `recipe:"name" default:"conv"`
		Width int    `recipe:"width" default:"128"`
		Depth int    `recipe:"depth" default:"5"`

		Widths []int `recipe:"widths" default:"2048,8192,8192,8192"`
	} `recipe:"head"`
	Optim struct {
		Name        string    `recipe:"name" default:"sgd"`
		LR          float64   `recipe:"lr" default:"0.1"`
		Momentum    float64   `recipe:"momentum" default:"0.9"`
		Nesterov    bool      `recipe:"nesterov"`
		WeightDecay float64   `recipe:"weight_decay" default:"5e-4"`
		Decay       string    `recipe:"decay" default:"all"`
		Betas       []float64 `recipe:"betas" default:"0.9,0.999"`
		Eps         float64   `recipe:"eps" default:"1e-8"`
		Plain       float64   `recipe:"plain" default:"1"`
		Clip        float64   `recipe:"clip"`
	} `recipe:"optim"`
	Schedule struct {
		Name       string  `recipe:"name" default:"cosine"`
		Epochs     int     `recipe:"epochs" min:"1"`
		Warmup     float64 `recipe:"warmup"`
		Milestones []int   `recipe:"milestones" default:""`
		Gamma      float64 `recipe:"gamma" default:"0.1"`
		MinLR      float64 `recipe:"min_lr"`
	} `recipe:"schedule"`
	Probe struct {
		Bank       int `recipe:"bank" default:"50000"`
		Neighbours int `recipe:"neighbours" default:"200"`
		Epochs     int `recipe:"epochs" default:"100"`
	} `recipe:"probe"`
	Diagnose struct {
		Every int `recipe:"every"`
	} `recipe:"diagnose"`
}

func read(t *testing.T, name string) (c known) {
	t.Helper()
	src, err := Open(name)
	if err == nil {
		err = errors.Join(Defaults(&c), Decode(src.Path, src.Doc, &c), Validate(&c))
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLibrary(t *testing.T) {
	entries := Names()
	if len(entries) < 22 || !slices.IsSortedFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) }) {
		t.Errorf("%d recipes, or out of order: %v", len(entries), entries)
	}
	summaries := map[string]string{}
	for _, e := range entries {
		src, _ := Open(e.Name)
		if !strings.HasPrefix(string(src.Doc), "# "+e.Summary+"\n") || len(e.Summary) < 20 || summaries[e.Summary] != "" {
			t.Errorf("%s: no summary of its own in the first line: %q", e.Name, e.Summary)
		}
		summaries[e.Summary] = e.Name
		c := read(t, e.Name)
		models := regexp.MustCompile("^(resnet(18|32|50|101)|plainnet32|plain7|conv32(_relu)?|vgg(12|17|27|37|47|57)|vit_(ti|s)|swin_[ts])$")
		if !models.MatchString(c.Model.Name) || slices.Contains(uncut, c.Method.Name) != (c.Method.Modules == 0) {
			t.Errorf("%s: model %s, method %s with %d modules", e.Name, c.Model.Name, c.Method.Name, c.Method.Modules)
		}
		set, _, _ := strings.Cut(e.Name, "-")
		if strings.HasPrefix(set, "cifar") && onPaper(e.Name) && (c.Data.Set != set || c.Schedule.Epochs != 200 || c.Data.Augment != "crop-flip") {
			t.Errorf("%s is not on the paper's schedule: %+v", e.Name, c)
		}
	}
}

// uncut are the methods that leave no choice of modules: one, or every layer.
var uncut = []string{"bp", "fa", "etf", "etf-sgr", "etf-reforward", "dfa", "drtp", "pepita", "barlow"}

// onPaper tells recipes on the paper's schedule from their authors' own, which greedy training has alone.
func onPaper(name string) bool {
	return !strings.HasSuffix(name, "-reference") && !strings.Contains(name, "-greedy")
}

// The recipes of a comparison must differ in the method and its head alone. A module of greedy training has epochs of
// its own.
func TestLibraryComparesMethods(t *testing.T) {
	first := map[string]known{}
	for _, e := range Names() {
		group := comparison.FindString(e.Name)
		if group == "" || !onPaper(e.Name) {
			continue
		}
		c := read(t, e.Name)
		method := known{}.Method
		method.Smoothing = c.Method.Smoothing // of the labels: no method's own
		c.Method, c.Head.Name, c.Head.Depth = method, "", 0
		if c.Model.Name == "plain7" { // without normalisation each method bears a rate of its own
			c.Optim.LR = 0
		}
		if _, ok := first[group]; !ok {
			first[group] = c
		}
		if !reflect.DeepEqual(c, first[group]) {
			t.Errorf("%s differs from its siblings in more than the method: %+v, %+v", e.Name, c, first[group])
		}
	}
	if len(first) < 40 {
		t.Errorf("%d comparisons", len(first))
	}
}

// Every cell of the paper's Tables 3, 4, 6 and 7 has a recipe with the paper's schedule and a short twin.
func TestLibraryFillsTheTables(t *testing.T) {
	twins := map[string]string{} // the long one's name to the short one's
	for _, m := range []string{"layerwise", "reforward", "sgr"} {
		twins["cifar10-resnet32-"+m+"-k16"] = "short-cifar10-k16-" + m
		twins["cifar10-plainnet32-"+m+"-k16"] = "short-plainnet-k16-" + m
	}
	for _, m := range []string{"fa", "drtp", "pepita", "etf", "etf-reforward", "etf-sgr"} {
		twins["cifar10-plain7-"+m] = "short-plain7-" + m
		twins["cifar100-plain7-"+m] = "short-cifar100-plain7-" + m
	}
	for _, set := range []string{"cifar10", "cifar100"} {
		twins[set+"-resnet32-bp"] = "short-" + set + "-bp"
		for _, m := range []string{"greedy", "dgl", "infopro", "sgr"} {
			for k, infix := range map[string]string{"k16": "k16-", "k3": "", "k2": "k2-"} {
				twins[set+"-resnet32-"+m+"-"+k] = "short-" + set + "-" + infix + m
			}
		}
	}
	for _, d := range []string{"12", "17", "27", "37", "47", "57"} {
		for _, m := range []string{"bp", "sgr"} {
			twins["cifar10-vgg-d"+d+"-"+m] = "short-vgg-d" + d + "-" + m
		}
	}
	for name, short := range twins {
		long, twin := read(t, name), read(t, short)
		a, b := long.Method, twin.Method
		if a.Name != b.Name || a.Modules != b.Modules || long.Data.Set != twin.Data.Set || long.Model.Name != twin.Model.Name {
			t.Errorf("%s trains %s in %d modules on %s; its twin %s %s in %d on %s", name, a.Name, a.Modules, long.Data.Set, short, b.Name, b.Modules, twin.Data.Set)
		}
		if twin.Schedule.Epochs > 3 {
			t.Errorf("%s has %d epochs, want 3 at most", short, twin.Schedule.Epochs)
		}
	}
}

// comparison finds what the names of recipes that are compared with each other begin with.
var comparison = regexp.MustCompile("^(fashion|short-barlow|short-cifar100?(-k2|-k16|-plain7)?|short-plainnet-k16|short-plain7|figure[234]|" +
	"cifar10-vgg-d[0-9]+|short-vgg-d[0-9]+|(imagenet|short-photos)-resnet50-barlow|(cifar100?|imagenet|short-photos)-[a-z0-9_]+)")

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "my.run.yml")
	if err := os.WriteFile(file, []byte("seed: 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(dir, "large.yaml")
	if err := os.WriteFile(large, make([]byte, maxDocument+1), 0o600); err != nil {
		t.Fatal(err)
	}
	src, err := Open(file)
	if err != nil || src.Name != "my.run" || src.Path != file || string(src.Doc) != "seed: 2\n" {
		t.Errorf("Open(%s) = %+v, %v", file, src, err)
	}
	src, err = Open("")
	if err != nil || src.Name != Quickstart || src.Path != "embedded:quickstart.yaml" {
		t.Errorf(`Open("") = %+v, %v`, src, err)
	}
	t.Chdir(dir)
	_, err = Open("large.yaml")
	checkFault(t, "large", err, "recipe large.yaml is too large: must have at most 1048576 bytes")
	_, err = Open("./none")
	checkFault(t, "missing", err, "recipe ./none cannot be read: no such file or directory")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("the cause is lost")
	}
	_, err = Open("./")
	checkFault(t, "directory", err, "recipe ./ cannot be read: is a directory")
	_, err = Open("fashon-sgr")
	checkFault(t, "slip", err, "unknown recipe fashon-sgr: did you mean fashion-sgr?")
	_, err = Open("what")
	checkFault(t, "unknown", err, "unknown recipe what: must be a .yaml file or one that 'locus list recipes' shows")
}
