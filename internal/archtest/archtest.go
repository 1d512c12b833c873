// Package archtest keeps the direction of imports: its test fails when a package imports one that it may not.
//
// The edges stand here and, explained, in docs/architecture.md. They are checked on the import clauses alone, so the
// test needs neither libtorch nor code that compiles.
package archtest

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

const module = "github.com/locus-learn/locus"

// edges lists, for each package, the packages of ours that it may import. The packages under internal/ are leaves:
// every package may import them, and they import nothing else of ours.
var edges = map[string][]string{
	"cmd/locus":         {"cli"},
	"scripts/forward":   {},
	"scripts/man":       {"cli"},
	"cli":               {"study", "recipe", "serve", "train", "report", "watch", "mesh", "model", "plan", "bench", "theory", "record", "safetensors", "data", "data/images", "zoo", "optim", "method", "method/methodtest", "local", "nn", "torch"},
	"serve":             {"train"},
	"study":             {"train", "bench", "record", "data", "recipe"},
	"bench":             {"model", "plan", "local", "store", "torch", "record"},
	"train":             {"export", "mesh", "plan", "model", "method", "local", "store", "zoo", "data", "data/images", "nn", "optim", "record", "recipe", "safetensors", "torch"},
	"method/methodtest": {"model", "method", "local", "zoo", "nn", "optim", "torch"},
	"theory":            {"model", "zoo", "nn", "torch"},
	"export":            {"nn", "torch"},
	"plan":              {"model", "method", "local", "zoo", "nn", "optim", "torch"},
	"mesh":              {"local", "optim", "torch", "torch/dist"},
	"model":             {"method", "local", "zoo", "nn", "optim", "recipe", "safetensors", "torch", "torchfile"},
	"torchfile":         {"safetensors"},
	"method":            {"local", "nn"},
	"store":             {"local", "safetensors", "torch"},
	"local":             {"nn", "optim", "torch", "torch/dist"},
	"zoo":               {"nn", "torch"},
	"nn":                {"torch"},
	"optim":             {"nn", "torch"},
	"nn/nntest":         {"nn", "torch", "safetensors"},
	"torch/graphtest":   {"torch"},
	"torch":             {},
	"torch/dist":        {"torch"},
	"data":              {},
	"data/images":       {"data"},
	"recipe":            {},
	"record":            {},
	"report":            {"record"},
	"watch":             {"report", "record"},
	"fault":             {},
	"results/evidence":  {"record"},
	"safetensors":       {},
	"scripts/finetune":  {"train", "model", "local", "data", "data/images", "record", "nn", "torch"},
	"scripts/serveload": {},
}

// testEdges lists what a package's external tests may import besides: helpers, and nets to try things on.
var testEdges = map[string][]string{
	"nn":       {"nn/nntest"},
	"optim":    {"nn/nntest"},
	"zoo":      {"nn/nntest"},
	"local":    {"nn/nntest", "zoo", "method", "store"},
	"mesh":     {"model", "method", "zoo", "nn"},
	"store":    {"nn", "optim", "zoo"},
	"method":   {"zoo"},
	"model":    {"store"},
	"torch":    {"nn/nntest", "torch/graphtest"},
	"plan":     {"bench", "train"},
	"bench":    {"train", "zoo"},
	"serve":    {"data"},
	"export":   {"zoo"},
	"fault":    {"recipe"},
	testDevice: {"torch", "torch/graphtest"},
}

// engine and its processes are the packages of the product that may use cgo. testDevice is linked into tests alone, and may, too.
const (
	engine     = "torch"
	processes  = "torch/dist"
	testDevice = "internal/testdevice"
)

// torchFree lists the packages that build and test on a machine without libtorch.
var torchFree = []string{"recipe", "record", "report", "watch", "data", "data/images", "safetensors", "torchfile", "results/evidence"}

// imports holds what one package imports: its own files and in-package tests, and its external tests (package x_test).
// Of the former, product has those of files that are no tests.
type imports struct {
	own, external, product []string
}

// load parses the import clauses of all Go files in fsys, the root of the module, by the package's folder. Folders that
// the go command ignores, and modules of their own, are left out.
func load(fsys fs.FS) (map[string]imports, error) {
	packages := map[string]imports{}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && ignored(fsys, name):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		return addFile(packages, fsys, name)
	})
	return packages, err
}

func ignored(fsys fs.FS, dir string) bool {
	base := path.Base(dir)
	if base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return true
	}
	_, err := fs.Stat(fsys, path.Join(dir, "go.mod"))
	return err == nil
}

func addFile(packages map[string]imports, fsys fs.FS, name string) error {
	source, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ImportsOnly)
	if err != nil {
		return err
	}
	var paths []string
	for _, spec := range file.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		paths = append(paths, p)
	}
	dir := path.Dir(name)
	p := packages[dir]
	if strings.HasSuffix(file.Name.Name, "_test") {
		p.external = append(p.external, paths...)
	} else {
		p.own = append(p.own, paths...)
	}
	if !strings.HasSuffix(name, "_test.go") {
		p.product = append(p.product, paths...)
	}
	packages[dir] = p
	return nil
}

// check returns one line for each import against the rules, sorted.
func check(packages map[string]imports) []string {
	var found []string
	report := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	for _, pkg := range slices.Sorted(maps.Keys(packages)) {
		_, listed := edges[pkg]
		if !listed && !internal(pkg) {
			report("%s is not in the list of packages: add it, with the packages it may import, to docs/architecture.md's edges and to internal/archtest", pkg)
			continue
		}
		all := slices.Concat(packages[pkg].own, packages[pkg].external)
		if pkg != engine && pkg != processes && pkg != testDevice && slices.Contains(all, "C") {
			report(`%s imports "C": only %s and %s may`, pkg, engine, processes)
		}
		if slices.Contains(ours(packages[pkg].product), testDevice) {
			report("%s imports %s: only tests may", pkg, testDevice)
		}
		for _, target := range ours(packages[pkg].own) {
			if !internal(target) && !slices.Contains(edges[pkg], target) {
				report("%s imports %s: it may import %v and internal/*", pkg, target, edges[pkg])
			}
		}
		below := slices.Concat(reach(pkg, func(p string) []string { return edges[p] }), testEdges[pkg])
		for _, target := range ours(packages[pkg].external) {
			if !internal(target) && !slices.Contains(below, target) {
				report("%s's external tests import %s: they may import %v and internal/*", pkg, target, below)
			}
		}
	}
	found = append(found, checkTorchFree(packages)...)
	slices.Sort(found)
	return slices.Compact(found) // several files of a package may have the same import
}

// checkTorchFree follows the imports as they are, tests included, so that it holds whatever the edges say.
func checkTorchFree(packages map[string]imports) []string {
	var found []string
	for _, pkg := range torchFree {
		tests := ours(packages[pkg].external)
		all := reach(pkg, func(p string) []string {
			if p == pkg {
				return append(ours(packages[p].own), tests...)
			}
			return ours(packages[p].own)
		})
		for _, target := range []string{engine, testDevice} {
			if slices.Contains(all, target) {
				found = append(found, fmt.Sprintf("%s reaches %s: it must build and test without libtorch", pkg, target))
			}
		}
	}
	return found
}

// reach returns pkg and all that follows from it by next, in the order of discovery.
func reach(pkg string, next func(string) []string) []string {
	reached := []string{pkg}
	for i := 0; i < len(reached); i++ {
		for _, p := range next(reached[i]) {
			if !slices.Contains(reached, p) {
				reached = append(reached, p)
			}
		}
	}
	return reached
}

// ours returns the folders of those imports that are packages of this module.
func ours(paths []string) []string {
	var dirs []string
	for _, p := range paths {
		if p == module {
			dirs = append(dirs, ".")
		} else if dir, ok := strings.CutPrefix(p, module+"/"); ok {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

func internal(pkg string) bool { return strings.HasPrefix(pkg, "internal/") }
