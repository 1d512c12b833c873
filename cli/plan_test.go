package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPlanInJSON(t *testing.T) {
	small := []string{"plan", "--model", "resnet32", "--set", "model.depth=8", "--set", "model.width=4", "--image", "16", "--threads", "1", "--json"}
	show := func(args ...string) (r planned) {
		t.Helper()
		if err := json.Unmarshal([]byte(succeed(t, append(small[:len(small):len(small)], args...)...)), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := show("--modules", "2", "--batch", "16")
	if len(r.Plan.Modules) != 2 || len(r.Plan.Cuts) != 1 || r.Plan.Batch != 16 || r.BP.ActivationBytes <= 0 ||
		r.Plan.PeakBytes != r.Plan.RestingBytes+r.Plan.ActivationBytes {
		t.Errorf("%+v", r)
	}
	if given := show("--modules", "3", "--batch", "16", "--set", "method.cuts=stem"); len(given.Plan.Cuts) != 1 || given.Plan.Cuts[0] != "stem" {
		t.Errorf("cut behind %v, want stem", given.Plan.Cuts)
	}
	if fits := show("--budget", "2MiB"); len(fits.Fits) < 2 || fits.Plan.PeakBytes > 2<<20 {
		t.Errorf("%+v", fits.Fits)
	}
	if fastest := show("--budget", "2MiB", "--batch", "8"); fastest.Plan.Batch != 8 || fastest.Plan.PeakBytes > 2<<20 || fastest.Way == nil || fastest.Way.Price < 1 {
		t.Errorf("%+v", fastest)
	}
	if given := show("--budget", "2MiB", "--batch", "8", "--modules", "3"); len(given.Plan.Modules) != 3 || given.Plan.PeakBytes > 2<<20 || given.Way != nil {
		t.Errorf("%+v", given)
	}
}

// A row for each number of modules of each method is what single plans are, and is drawn.
func TestPlanOfManyModules(t *testing.T) {
	small := []string{"plan", "--model", "resnet32", "--set", "model.depth=8", "--set", "model.width=4", "--image", "16", "--batch", "16", "--threads", "1"}
	picture := filepath.Join(t.TempDir(), "memory.svg")
	show := func(r any, args ...string) {
		t.Helper()
		if err := json.Unmarshal([]byte(succeed(t, append(small[:len(small):len(small)], append(args, "--json")...)...)), r); err != nil {
			t.Fatal(err)
		}
	}
	var all swept
	show(&all, "--modules", "all", "--method", "sgr,infopro", "--plot", picture)
	if len(all.Rows) != 2*4 { // the stem and three blocks
		t.Fatalf("%d rows: %+v", len(all.Rows), all.Rows)
	}
	for i, row := range all.Rows {
		if row.Modules != i%4+1 || len(row.Plan.Modules) != row.Modules || row.Method != []string{"sgr", "infopro"}[i/4] || row.Time <= 0 {
			t.Errorf("row %d: %+v", i, row)
		}
	}
	if first := all.Rows[0]; first.Plan.ActivationBytes != all.BP.ActivationBytes || first.Saving != 0 {
		t.Errorf("one module takes %d bytes, bp %d", first.Plan.ActivationBytes, all.BP.ActivationBytes)
	}
	var one planned
	show(&one, "--modules", "3", "--method", "infopro")
	if row := all.Rows[6]; one.Plan.ActivationBytes != row.Plan.ActivationBytes || one.BP.PeakBytes != all.BP.PeakBytes || one.Saving != row.Saving {
		t.Errorf("alone %+v, among others %+v", one, row)
	}
	if svg := string(read(t, picture)); !strings.Contains(svg, "infopro") || !strings.Contains(svg, "modules K") {
		t.Error("the picture lacks the legend or the axis")
	}
	text := succeed(t, append(small, "--modules", "1,3-4")...)
	if strings.Count(text, "| sgr") != 3 || !strings.Contains(text, "time ÷ bp") || !strings.Contains(text, "| bp ") {
		t.Error(text)
	}
}

func TestPlanMistakesGetOneLine(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"plan --budget much", "--budget much 16GiB"},
		{"plan --budget -1GiB", "--budget 16GiB"},
		{"plan --budget 1kB --image 8 --threads 1 --set model.depth=8", "--budget too little"},
		{"plan --budget 1kB --image 8 --batch 4 --threads 1 --set model.depth=8", "--budget method.resident=1 weights and optimizer state"},
		{"plan --budget 1GiB --set method.cuts=stem", "--budget method.cuts stem"},
		{"plan --modules 0", "--modules 0 from 1 on 1-16 all"},
		{"plan --modules 5-2", "--modules 5-2 1-16"},
		{"plan --modules 1-", "--modules 1- 1-16"},
		{"plan --modules many", "--modules many 1-16 all"},
		{"plan --modules 1-99999999", "--modules 1-99999999 1-16"},
		{"plan --modules 1-99 --image 8", "--modules 1-99 16"},
		{"plan --modules all --budget 1GiB", "--budget --modules"},
		{"plan --modules all --set method.cuts=stem", "method.cuts stem auto --modules"},
		{"plan --method sgr,fa --model plain7", "method.name fa"},
		{"plan --method sgr,psgr", "method.name psgr sgr"},
		{"plan --method=", "--method empty"},
		{"plan --modules 3 --plot x.svg", "--plot x.svg --modules 3 1-16"},
		{"plan --modules 99 --image 8", "method.modules 99 16"},
		{"plan --batch 1", "--batch 1 2"},
		{"plan --model vgg", "vgg resnet32"},
		{"plan --method etf --model plain7", "method.cuts etf"},
		{"plan resnet32", "resnet32"},
	} {
		t.Run(c.line, func(t *testing.T) { refuse(t, strings.Fields(c.want), strings.Fields(c.line)...) })
	}
}

// Automatic cuts are found once: the run's recipe has them by name, so that a resumed run goes on with the same ones.
func TestTrainWithAutomaticCuts(t *testing.T) {
	b := newWorkbench(t)
	for _, cuts := range []string{"auto", "auto:time"} {
		succeed(t, b.train("run", "--force", "--steps", "2", "--set", "method.cuts="+cuts)...)
		doc, err := os.ReadFile(filepath.Join(b.path("run"), "config.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if text := string(doc); strings.Contains(text, "auto:time") || !strings.Contains(text, "cuts: [") || strings.Contains(text, "cuts: [auto") {
			t.Errorf("method.cuts=%s: the recipe of the run has\n%s", cuts, text)
		}
		succeed(t, b.train("run", "--resume", "--steps", "4", "--set", "method.cuts="+cuts)...)
	}
}

// What goes over a cut is what a process sends: features and δ in float32, and labels.
func TestPlanPrintsLinks(t *testing.T) {
	out := succeed(t, "plan", "--model", "mlp", "--image", "8", "--batch", "16", "--modules", "2", "--link", "10", "--json", "--set", "head.name=linear", "--set", "model.width=32")
	const want = 2*16*32*4 + 8*16
	if !strings.Contains(out, fmt.Sprintf(`"link_bytes": %d`, want)) {
		t.Errorf("want %d bytes over the cut, got\n%s", want, out)
	}
	out = succeed(t, "plan", "--model", "mlp", "--image", "8", "--batch", "16", "--modules", "2", "--link", "10", "--set", "head.name=linear")
	if !strings.Contains(strings.ToLower(out), "ms at 10 gbit/s") {
		t.Errorf("no table of links in\n%s", out)
	}
	refuse(t, []string{"--link", "-1"}, "plan", "--link", "-1")
}

// The table of schemes has what the model of a cluster makes of the pieces: times are speeds, the links' and the devices' speeds
// count, and layouts use all devices.
func TestPlanScales(t *testing.T) {
	var r scaled
	args := []string{"plan", "--model", "mlp", "--image", "8", "--batch", "16", "--set", "head.name=linear", "--set", "model.width=32", "--threads", "1",
		"--method", "layerwise,sgr", "--ranks", "4,2,2", "--latency", "0s"}
	out := succeed(t, append(args, "--link", "1e9", "--json")...)
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, row := range r.Rows {
		count[row.Scheme]++
		if math.Abs(row.Speed*row.Seconds-r.Seconds) > 1e-9*r.Seconds || row.Speed <= 0 || row.Speed > 1.01*float64(row.Ranks) && row.Modules == 0 {
			t.Errorf("%+v of %g s on one device", row, r.Seconds)
		}
		if local := row.Scheme == "layerwise" || row.Scheme == "sgr"; local != (row.Modules*row.Copies == row.Ranks) || len(row.Cuts) != max(0, row.Modules-1) {
			t.Errorf("layout of %+v", row)
		}
	}
	for _, scheme := range []string{"bp, data parallel", "bp, GPipe", "bp, 1F1B", "layerwise", "sgr"} {
		if count[scheme] != 2 {
			t.Errorf("%d rows of %s, want 2", count[scheme], scheme)
		}
	}
	svg := filepath.Join(t.TempDir(), "x.svg")
	out = succeed(t, append(args, "--link", "0.000001", "--plot", svg)...)
	if picture, err := os.ReadFile(svg); err != nil || !strings.Contains(string(picture), "layerwise") || !strings.Contains(out, "×") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, tt := range []struct {
		want string
		args []string
	}{
		{"without --link", []string{"--ranks", "2"}},
		{"--ranks has 0", []string{"--ranks", "0", "--link", "1"}},
		{"--latency is -1s", []string{"--ranks", "2", "--link", "1", "--latency", "-1s"}},
		{"--faster is 0", []string{"--ranks", "2", "--link", "1", "--faster", "0"}},
		{"--faster is given without --ranks", []string{"--faster", "2"}},
		{"--budget is 1024.0 MiB with --ranks", []string{"--ranks", "2", "--link", "1", "--budget", "1GiB"}},
		{"--method is bp", []string{"--ranks", "2", "--link", "1", "--method", "bp"}},
		{"method.name is fa", []string{"--ranks", "2", "--link", "1", "--method", "fa"}},
	} {
		refuse(t, []string{tt.want}, append([]string{"plan"}, tt.args...)...)
	}
}

// tiring is a context that is cancelled when it has been asked so often.
type tiring struct {
	context.Context
	left *int
}

func (c tiring) Err() error {
	if *c.left--; *c.left < 0 {
		return context.Canceled
	}
	return nil
}

// What was planned or measured before Ctrl-C is printed, and the exit code tells of it.
func TestInterruptedPlansKeepTheirRows(t *testing.T) {
	small := []string{"--set", "model.depth=8", "--set", "model.width=4", "--image", "8", "--threads", "1"}
	for name, tt := range map[string]struct {
		args []string
		rows string // that are there however early it ends, unless nothing is
	}{
		"several methods":     {[]string{"plan", "--model", "resnet32", "--modules", "1-4", "--method", "layerwise,sgr", "--batch", "4"}, "| bp "},
		"a budget":            {[]string{"plan", "--model", "resnet32", "--budget", "2MiB"}, "| largest batch "},
		"a frontier":          {[]string{"frontier", "resnet32", "--batch", "4"}, "| bp "},
		"a measured frontier": {[]string{"frontier", "resnet32", "--batch", "4", "--modules", "2", "--methods", "layerwise", "--measure", "1"}, "| bp "},
	} {
		t.Run(name, func(t *testing.T) {
			whole := 1 << 30
			if r := locus(tiring{t.Context(), &whole}, append(tt.args, small...)...); r.code != 0 || !strings.Contains(r.out, tt.rows) {
				t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.err)
			}
			asked := 1<<30 - whole
			partial := false
			for _, after := range []int{0, asked / 2, asked - 2} {
				r := locus(tiring{t.Context(), &after}, append(tt.args, small...)...)
				if r.code != 130 || r.out != "" && !strings.Contains(r.out, tt.rows) || !strings.HasSuffix(r.err, "locus: interrupted\n") {
					t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
				}
				partial = partial || r.out != ""
			}
			if !partial {
				t.Error("no row was kept")
			}
		})
	}
}
