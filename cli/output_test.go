package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/torch"
)

func TestJSONHasThePromisedKeys(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("run", "--steps", "0")...)
	drawPNG(t, b.path("a.png"), 8, 8)
	for _, c := range []struct {
		args []string
		keys string // sorted; of the first element of an array
	}{
		{[]string{"bench", "--methods", "bp,layerwise,sgr", "--modules", "2", "--batch", "2", "--image", "8", "--steps", "2", "--warmup", "0", "--threads", "1",
			"--set", "model.depth=8", "--set", "model.width=4", "--json"},
			"activation_bytes batch cuts image images_per_second method model modules peak_bytes precision resting_bytes " +
				"step_seconds step_seconds_max step_seconds_min threads"},
		{[]string{"eval", b.path("run"), "--data", b.data, "--json"}, "checkpoint data images modules on set subset"},
		{[]string{"predict", b.path("run"), b.path("a.png"), "--json"}, "classes image module"},
	} {
		out := strings.TrimSpace(succeed(t, c.args...))
		if !strings.HasPrefix(out, "[") {
			out = "[" + out + "]"
		}
		var objects []map[string]any
		if err := json.Unmarshal([]byte(out), &objects); err != nil {
			t.Fatalf("%s: %v\n%s", c.args[0], err, out)
		}
		for _, o := range objects {
			if keys := strings.Join(slices.Sorted(maps.Keys(o)), " "); keys != c.keys {
				t.Errorf("%s: keys are\n%s, want\n%s", c.args[0], keys, c.keys)
			}
		}
	}
}

func TestCompareWritesTableAndPicture(t *testing.T) {
	b := newWorkbench(t)
	other := b.path("other.yaml")
	write(t, other, []byte(strings.Replace(tiny, "name: sgr", "name: layerwise", 1)))
	args := []string{"compare", b.recipe, other, "--data", b.data, "--steps", "2", "--out", b.path("both")}
	out := succeed(t, args...)
	for _, want := range []string{"| sgr", "| layerwise", "peak, MiB", b.path("both/compare.svg"), b.path("both/compare.md")} {
		if !strings.Contains(out, want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
	if svg := read(t, b.path("both/compare.svg")); !bytes.Contains(svg, []byte("<svg")) {
		t.Error("compare.svg is no SVG")
	}
	if md := read(t, b.path("both/compare.md")); bytes.Count(md, []byte("\n|")) != 3 {
		t.Errorf("compare.md has other than a head and two rows:\n%s", md)
	}
	succeed(t, "eval", b.path("both/tiny"), "--data", b.data)
	refuse(t, []string{"both", "--resume", "--force"}, args...)
	succeed(t, append(args, "--force")...)
	succeed(t, "compare", b.recipe, "--data", b.data, "--steps", "2", "--out", b.path("both"), "--force")
	if md := read(t, b.path("both/compare.md")); bytes.Count(md, []byte("\n|")) != 3 || !bytes.Contains(md, []byte("| layerwise")) {
		t.Errorf("a comparison of one recipe has dropped the rows of others:\n%s", md)
	}
	if page := read(t, b.path("both/report/index.html")); !bytes.Contains(page, []byte("layerwise")) {
		t.Error("the report lacks the earlier run")
	}

	out = succeed(t, "report", b.path("both"), "--by", "method,seed", "--out", b.path("paper"))
	for _, want := range []string{"| sgr", "| layerwise", "index.html", "table.{md,csv,tex}"} {
		if !strings.Contains(out, want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
	refuse(t, []string{"tiny", "holds a run"}, "report", b.path("both"), "--out", b.path("both/tiny"))
	write(t, b.path("mine/table.tex"), []byte("mine"))
	refuse(t, []string{"table.tex", "is not", "another folder"}, "report", b.path("both"), "--out", b.path("mine"))
}

// No command writes over what a run, a comparison or a study has written, and --plot writes SVG alone.
func TestOutputsSpareRuns(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("run", "--steps", "2")...)
	plot := func(path string) [][]string {
		return [][]string{
			{"bench", "--methods", "bp", "--batch", "2", "--steps", "1", "--plot", path},
			{"plan", "--model", "resnet32", "--modules", "2,3", "--batch", "2", "--plot", path},
			{"frontier", "resnet32", "--batch", "2", "--plot", path},
		}
	}
	before := map[string][]byte{}
	names := []string{"last.safetensors", "state-2.safetensors", "config.yaml", "manifest.json", "summary.json", "plots/loss.svg"}
	for _, name := range names {
		before[name] = read(t, b.path("run/"+name))
	}
	for _, name := range []string{"run/last.safetensors", "run/state-2.safetensors", "run/../run/last.safetensors"} {
		refuse(t, []string{name, "is a file of what is in " + b.path("run")}, "export", b.path("run"), b.path("")+"/"+name, "--force")
	}
	for _, args := range plot(b.path("run/plots/loss.svg")) {
		refuse(t, []string{"loss.svg is a file of what is in"}, args...)
	}
	for _, args := range append(plot(b.path("run/config.yaml")), plot(b.path("x.png"))...) {
		refuse(t, []string{"--plot is", "must end in .svg"}, args...)
	}
	for _, args := range plot(b.path("nowhere/x.svg")) {
		refuse(t, []string{"--plot is", "folder that is there"}, args...)
	}
	refuse(t, []string{"manifest.json is a file of what"}, "study", "small", "--results", b.path("run/manifest.json"), "--report")
	for _, name := range names {
		if !bytes.Equal(read(t, b.path("run/"+name)), before[name]) {
			t.Errorf("%s has changed", name)
		}
	}
	succeed(t, "export", b.path("run"), b.path("run/mine.safetensors")) // which is nobody's name
	succeed(t, "export", b.path("run"), b.path("run/mine.safetensors"), "--force")
	succeed(t, "eval", b.path("run"), "--data", b.data)
}

// TestCompareFindsMistakesBeforeItTrains wants the second recipe's mistake before the first one's training.
func TestCompareFindsMistakesBeforeItTrains(t *testing.T) {
	b := newWorkbench(t)
	other := b.path("other.yaml")
	write(t, other, []byte(strings.Replace(tiny, "modules: 3", "modules: 9", 1)))
	refuse(t, []string{"method.modules"}, "compare", b.recipe, other, "--data", b.data, "--out", b.path("both"))
	if _, err := os.Stat(b.path("both")); err == nil {
		t.Error("training has begun")
	}
}

func TestDataCommands(t *testing.T) {
	b := newWorkbench(t)
	if out := succeed(t, "data", "list", "--data", b.data); !strings.Contains(out, "subset") || !strings.Contains(out, b.data) {
		t.Errorf("data list printed\n%s", out)
	}
	out := succeed(t, "data", "check", "cifar10", "--data", b.data)
	for _, want := range []string{"is subset", "40 of 50000", "16 of 10000", "data_batch_5.bin", "24584 bytes", "airplane"} {
		if !strings.Contains(out, want) {
			t.Errorf("data check: want %q in\n%s", want, out)
		}
	}
	if out := succeed(t, "data", "get", "cifar10"); !strings.Contains(out, "https://") || !strings.Contains(out, "LOCUS_DATA") {
		t.Errorf("data get printed\n%s", out)
	}
	write(t, filepath.Join(b.data, "test_batch.bin"), cifar(1, 2)[:5000])
	refuse(t, []string{"cifar10 is broken", "test_batch.bin", "truncated"}, "data", "check", "cifar10", "--data", b.data)
	t.Setenv("LOCUS_DATA", b.data)
	if out := succeed(t, "data", "list"); !strings.Contains(out, "broken") {
		t.Errorf("data list printed\n%s", out)
	}
}

// The counts of ImageNet's networks are torchvision's.
func TestListsByPattern(t *testing.T) {
	for _, c := range []struct{ args, want, not string }{
		{"recipes *-k16", "cifar10-resnet32-sgr-k16", "fashion-sgr"},
		{"keys optim.l", "optim.lr float", "data.batch"},
		{"methods etf-s", "METHOD etf-sgr", "layerwise"},
		{"models resnet", "resnet32 0.47 resnet18 11.69 resnet50 25.56 224×224", "vgg"},
	} {
		out := succeed(t, append([]string{"list"}, strings.Fields(c.args)...)...)
		for _, want := range strings.Fields(c.want) {
			if !strings.Contains(out, want) {
				t.Errorf("list %s: no %q in\n%s", c.args, want, out)
			}
		}
		if strings.Contains(out, c.not) {
			t.Errorf("list %s has %s:\n%s", c.args, c.not, out)
		}
	}
}

func TestListsNameWhatTheyList(t *testing.T) {
	for list, want := range map[string]string{
		"methods": "bp layerwise sgr", "models": "resnet32 plainnet32 mlp", "heads": "linear conv", "recipes": "quickstart fashion-sgr",
		"data": "fashion-mnist cifar100", "keys": "seed data.batch method.lambda optim.lr schedule.milestones 0.1",
	} {
		out := succeed(t, "list", list)
		for _, name := range strings.Fields(want) {
			if !strings.Contains(out, name) {
				t.Errorf("list %s: want %s in\n%s", list, name, out)
			}
		}
	}
}

func TestDoctorHasAHintForEveryWarning(t *testing.T) {
	t.Setenv("LOCUS_DATA", filepath.Join(t.TempDir(), "none"))
	out := succeed(t, "doctor")
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "ok ") && !strings.HasPrefix(line, "warn ") {
			t.Errorf("line %q begins with neither ok nor warn", line)
		}
	}
	if !strings.Contains(out, "none is no folder") {
		t.Errorf("want a warning of LOCUS_DATA in\n%s", out)
	}
	for engine, want := range map[torch.Engine]string{
		{BLAS: "reference BLAS", OneDNN: true}:               "apt-get install",
		{BLAS: "MKL"}:                                        "oneDNN",
		{BLAS: "OpenBLAS 0.3.21 DYNAMIC_ARCH", OneDNN: true}: "libopenblas0-openmp",
	} {
		if !slices.ContainsFunc(examineEngine(engine), func(f finding) bool { return strings.Contains(f.topic+f.hint, want) && f.hint != "" }) {
			t.Errorf("%v brings no warning with %q", engine, want)
		}
	}
	for _, c := range []struct {
		library    torch.CUDALibrary
		text, hint string
	}{
		{torch.CUDALibrary{Problem: "no driver"}, "no driver", ""},
		{torch.CUDALibrary{Problem: "for the CPU only", Driver: "580.1"}, "driver 580.1", "for the CPU only"},
		{torch.CUDALibrary{Driver: "580.1", Version: "13.0", CuDNN: "9.19.0"}, "driver 580.1, libtorch's CUDA 13.0, cuDNN 9.19.0", ""},
	} {
		if got := examineCUDA(c.library)[0]; !strings.Contains(got.text, c.text) || got.hint != c.hint {
			t.Errorf("%+v: %+v, want %q and hint %q", c.library, got, c.text, c.hint)
		}
	}
	card := torch.Card{Device: torch.CUDA(1), Name: "a card", Bytes: 80 << 30}
	if got := examineCUDA(torch.CUDALibrary{Cards: []torch.Card{card}, Graphs: "no library"}); len(got) != 3 || got[2].text != "no library" || got[1].topic != "cuda:1" || got[1].text != "a card, 80.0 GiB" {
		t.Errorf("a card is described as %+v", got)
	}
	cpuinfo := filepath.Join(t.TempDir(), "cpuinfo")
	for flags, want := range map[string]string{"fpu sse2": "avx2", "avx2 avx512f": "bf16", "avx2 avx512f avx512_bf16": ""} {
		write(t, cpuinfo, []byte("processor: 0\nflags\t\t: "+flags+"\n"))
		if got := examineCPU(cpuinfo); len(got) != 1 || (got[0].hint == "") != (want == "") || !strings.Contains(got[0].hint, want) {
			t.Errorf("a CPU with %s: %v, want %q", flags, got, want)
		}
	}
}

func TestHelpVersionAndCompletion(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"", "locus train locus compare locus eval doctor"},
		{"--version", "locus libtorch go1."},
		{"help", "train eval predict export compare bench list data verify doctor completion"},
		{"help data check", "SET --data"},
		{"train --help", "--resume --init Examples: cifar10"},
		{"data", "list check get"},
		{"completion bash", "__start_locus"},
		{"completion zsh", "compdef"},
		{"completion fish", "complete"},
		{"completion powershell", "Register"},
		{"__complete train fash", "fashion-sgr"},
		{"__complete train --set optim.", "optim.lr="},
		{"__complete compare --methods bp,s", "bp,sgr"},
		{"__complete bench --model r", "resnet32"},
		{"__complete data check c", "cifar10"},
		{"__complete list k", "keys"},
		{"__complete train --set optim.name=", "optim.name=sgd optim.name=adamw"},
		{"__complete train --set optim.nesterov=", "optim.nesterov=true optim.nesterov=false"},
		{"__complete list recipes fashion", "fashion-bp"},
		{"__complete verify s", "sgr"},
		{"__complete eval x --on v", "validation"},
		{"__complete help tr", "train"},
		{"__complete bench --precision b", "fp32 tf32 bf16"},
		{"__complete plan --precision b", "fp32 bf16"},
		{"__complete frontier vit_s --precision b", "fp32 bf16"},
		{"__complete export x --dtype b", "fp32 bf16 fp16"},
	} {
		out := succeed(t, strings.Fields(c.line)...)
		for _, want := range strings.Fields(c.want) {
			if !strings.Contains(out, want) {
				t.Errorf("locus %s: want %q in\n%s", c.line, want, out)
			}
		}
	}
}

func TestPanicsAndEngineErrorsReachNobodyRaw(t *testing.T) {
	for _, c := range []struct {
		p    any
		code int
		want string
	}{
		{errors.New("index out of range"), 1, "please report"},
		{&torch.Error{Op: "conv2d", Text: "expected 4 dims"}, 1, "please report"},
		{&torch.Error{Op: "full", Text: "not enough memory"}, 1, "please report"}, // it is the kind that counts, not the words
		{&torch.Error{Op: "full", Kind: torch.OutOfMemory}, 2, "not enough memory (in full): a smaller data.batch"},
		{&torch.Error{Op: "conv2d", Kind: torch.OutOfMemory, Text: "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.10 GiB of which 1.25 GiB is free. Of the allocated memory 60.00 GiB is allocated by PyTorch, and 3.00 GiB is reserved by PyTorch but unallocated."},
			2, "(asked for 20.00 GiB, held 60.00 GiB, free 1.25 GiB)"},
	} {
		var w bytes.Buffer
		code := report(&w, panicked(c.p, &w))
		if code != c.code || strings.Count(w.String(), "\n") != 1 || !strings.Contains(w.String(), c.want) {
			t.Errorf("%v: exit code %d and %q", c.p, code, w.String())
		}
	}
	t.Setenv("LOCUS_DEBUG", "1")
	var w bytes.Buffer
	if report(&w, panicked("boom", &w)); !strings.Contains(w.String(), "output_test.go") {
		t.Errorf("LOCUS_DEBUG=1 shows no stack: %q", w.String())
	}
}
