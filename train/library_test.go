package train

import (
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/locus-learn/locus/recipe"
)

func load(t *testing.T, name string) Config {
	t.Helper()
	c, err := Load(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Recipes named after a set train on it by the paper's schedule, in the modules that their names say.
func TestLibraryIsOnThePapersSchedule(t *testing.T) {
	for _, e := range recipe.Names() {
		c := load(t, e.Name)
		if k := modulesInName.FindStringSubmatch(e.Name); k != nil && strconv.Itoa(c.Method.Modules) != k[1] {
			t.Errorf("%s has %d modules", e.Name, c.Method.Modules)
		}
		set, _, _ := strings.Cut(e.Name, "-")
		if strings.HasPrefix(set, "cifar") && onPaper(e.Name) && (c.Data.Set != set || c.Schedule.Epochs != 200 || c.Data.Augment != "crop-flip") {
			t.Errorf("%s is not on the paper's schedule: %+v", e.Name, c)
		}
	}
}

// modulesInName finds K in the name of a recipe, if it says so.
var modulesInName = regexp.MustCompile("-k([0-9]+)(-|$)")

// onPaper tells recipes on the paper's schedule from their authors' own, which greedy training has alone.
func onPaper(name string) bool {
	return !strings.HasSuffix(name, "-reference") && !strings.Contains(name, "-greedy")
}

// The recipes of a comparison must differ in the method and its head alone. A module of greedy training has epochs of
// its own.
func TestLibraryComparesMethods(t *testing.T) {
	first := map[string]Config{}
	for _, e := range recipe.Names() {
		group := comparison.FindString(e.Name)
		if group == "" || !onPaper(e.Name) {
			continue
		}
		c := load(t, e.Name)
		method := Config{}.Method
		method.Smoothing = c.Method.Smoothing // of the labels: no method's own
		c.Name, c.Method, c.Head.Name, c.Head.Depth = "", method, "", 0
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
		long, twin := load(t, name), load(t, short)
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
var comparison = regexp.MustCompile("^(fashion|short-barlow|(short|medium|small)-cifar100?(-k2|-k16|-plain7)?|medium-convgroups|short-plainnet-k16|short-plain7|figure[234]|" +
	"cifar10-vgg-d[0-9]+|short-vgg-d[0-9]+|(imagenet|short-photos)-resnet50-barlow|(cifar100?|imagenet|short-photos)-[a-z0-9_]+)")
