package report

import (
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// answers is four samples of two classes. The first head is right about two and sure of two; the second is right about three.
func answers() Examination {
	return Examination{
		Checkpoint: "run", Set: "things", Part: "test", Classes: []string{"cat", "<dog>"}, Labels: []int{0, 1, 1, 0},
		Heads: []Head{
			{Module: 1, Blocks: "stem", Body: 100, Asked: 10, Top1: 50, Top5: 100, Loss: 0.7, Said: []Said{{0, 0.95, 0.95}, {1, 0.6, 0.6}, {0, 0.9, 0.1}, {1, 0.55, 0.45}}},
			{Module: 2, Blocks: "rest", Body: 200, Asked: 20, Top1: 75, Top5: 100, Loss: 0.4, Said: []Said{{0, 0.99, 0.99}, {1, 0.8, 0.8}, {1, 0.7, 0.7}, {1, 0.65, 0.35}}},
		},
		Mistakes: []Mistake{{Sample: 3, Title: "b/<x>.png", H: 1, W: 2, C: 1, Pixels: []byte{0, 255}}},
	}
}

// What samples pay, and how right they are, by hand: a way to head 1 takes 110, and one to head 2 past head 1 takes 330.
func TestLeavingEarly(t *testing.T) {
	for _, c := range []struct {
		threshold, accuracy, macs float64
		shares                    []float64
	}{
		{0.01, 50, 110, []float64{100, 0}},
		{0.6, 25, 165, []float64{75, 25}},
		{0.9, 50, 220, []float64{50, 50}}, // one that is as sure as asked leaves
		{0.95, 75, 275, []float64{25, 75}},
		{1, 75, 330, []float64{0, 100}},
	} {
		e := answers()
		if c.threshold == 0.6 {
			e.Labels = []int{0, 0, 1, 0}
		}
		x := e.leave(c.threshold)
		if math.Abs(x.accuracy-c.accuracy) > 1e-9 || math.Abs(x.macs-c.macs) > 1e-9 || !slices.Equal(x.shares, c.shares) {
			t.Errorf("at %g: %+v, want %+v", c.threshold, x, c)
		}
	}
	e := answers()
	if a, b := e.alone(0), e.alone(1); a != 110 || b != 320 {
		t.Errorf("alone, the heads take %d and %d, want 110 and 320", a, b)
	}
	contains(t, "verdicts", strings.Join(e.verdicts(), "\n"), "As right as the last head, or more so: --confidence 0.91 takes 86 % of the multiply-adds", "75.00 %")
}

// A module whose head does not answer is passed at no price for its head, and one head alone leaves nothing to choose.
func TestHeadsThatDoNotAnswer(t *testing.T) {
	e := answers()
	e.Heads[0].Said = nil
	if x := e.leave(0.5); x.macs != 320 || x.accuracy != 75 || len(x.shares) != 1 {
		t.Errorf("%+v, want all at the last head for 320", x)
	}
	contains(t, "verdict", strings.Join(e.verdicts(), ""), "One head answers")
	out := filepath.Join(t.TempDir(), "r")
	if err := e.Write(out, Column); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(out, "exits.csv")); err == nil {
		t.Error("there is a table of exits with a single head")
	}
}

// The expected calibration error by hand: bins of 1/15, of which 0.55 and 0.6 share one. NaN is in no bin.
func TestCalibration(t *testing.T) {
	e := answers()
	all, ece := e.calibration(e.Heads[0])
	want := (math.Abs(0.55+0.6-1) + math.Abs(0.9-0) + math.Abs(0.95-1)) / 4
	if math.Abs(ece-want) > 1e-12 || all[8].n != 2 || all[13].n != 1 || all[14].n != 1 {
		t.Errorf("error %g, want %g; bins %v", ece, want, all)
	}
	e.Heads[0].Said[0] = Said{0, math.NaN(), math.NaN()}
	if _, ece := e.calibration(e.Heads[0]); math.IsNaN(ece) {
		t.Error("one NaN spoils the error")
	}
	for edge, b := range map[float64]int{0: 0, 1.0 / 15: 0, 1: 14} { // bins have their upper end
		e := Examination{Labels: []int{0}}
		if all, _ := e.calibration(Head{Said: []Said{{0, edge, edge}}}); all[b].n != 1 {
			t.Errorf("confidence %g is not in bin %d: %v", edge, b, all)
		}
	}
}

func TestExaminationIsWritten(t *testing.T) {
	out := filepath.Join(t.TempDir(), "report")
	if err := Writable(out); err != nil {
		t.Fatal(err)
	}
	if err := answers().Write(out, Column); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	html := read(PageFile)
	contains(t, "page", html, "4 test samples of things", "<svg", "data:image/png;base64,", "&lt;dog&gt;", "b/&lt;x&gt;.png", "--confidence 0.91")
	if strings.Contains(html, "src=\"http") || strings.Contains(html, "href=") || strings.Contains(html, "<dog>") || strings.Contains(html, "NaN") {
		t.Error("the page needs other files, or shows what it should not")
	}
	for _, name := range []string{"exits", "depth", "calibration", "confidence", "confusion"} {
		contains(t, name, read(name+".svg"), "@font-face")
	}
	contains(t, "heads", read("heads.csv"), "1,stem,50,100,0.7,", "2,rest,75,100,0.4,", ",200,20,320")
	contains(t, "classes", read("classes.csv"), "class,n,accuracy_1,accuracy_2", "cat,2,50,50", "<dog>,2,50,100")
	contains(t, "confusion", read("confusion.csv"), "cat,<dog>,1\n<dog>,<dog>,2\ncat,cat,1") // mistakes first, then by n
	contains(t, "mistakes", read("mistakes.csv"), "3,b/<x>.png,cat,<dog>,0.65,0.35")
	contains(t, "picture", read("mistake-01.png"), "PNG")
	rows, err := csv.NewReader(strings.NewReader(read("exits.csv"))).ReadAll()
	if err != nil || len(rows) != 1+len(thresholds()) || strings.Join(rows[0], " ") != "confidence accuracy macs share_1 share_2" {
		t.Errorf("%d rows of exits, %v, %v", len(rows), rows[0], err)
	}
	var same [][]byte
	for range 2 { // the same bytes each time
		page, err := answers().html(make([][]byte, 1))
		if err != nil {
			t.Fatal(err)
		}
		same = append(same, page)
	}
	if string(same[0]) != string(same[1]) {
		t.Error("the page differs from time to time")
	}
}

// With a thousand classes there is no matrix to look at, and the page shows those that do worst.
func TestManyClasses(t *testing.T) {
	e := answers()
	for i := range 998 {
		e.Classes = append(e.Classes, fmt.Sprint("class ", i))
	}
	if e.matrix() != nil {
		t.Error("there is a picture of 1,000 classes")
	}
	page, err := e.html(make([][]byte, 1))
	if err != nil {
		t.Fatal(err)
	}
	contains(t, "page", string(page), "970 classes of which the last head is right more often")
}

// A folder that is no report's is refused before the work begins.
func TestWhereNoReportIsWritten(t *testing.T) {
	run := made(t, filepath.Join(t.TempDir(), "run"), "bp", 1, 1, 90)
	write(t, filepath.Join(run, "manifest.json"), `{"files": ["config.yaml"]}`)
	if err := Writable(run); err == nil || !strings.Contains(err.Error(), "holds a run: give another folder") {
		t.Errorf("into a run: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "x")
	if err := Writable(file); err == nil {
		t.Error("a file is taken for a folder")
	}
}
