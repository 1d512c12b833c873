package cli

import (
	"encoding/csv"
	"strconv"
	"strings"
	"testing"
)

// A report agrees with what eval prints, and is refused before the evaluation where it cannot be written.
func TestEvalReport(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("run")...)
	plain := succeed(t, "eval", b.path("run"), "--data", b.data)
	out := succeed(t, "eval", b.path("run"), "--data", b.data, "--report", b.path("report"))
	if page := b.path("report/index.html"); out != plain+"page  "+page+"\n" {
		t.Errorf("with a report it prints\n%s, without\n%s", out, plain)
	}
	rows, err := csv.NewReader(strings.NewReader(string(read(t, b.path("report/heads.csv"))))).ReadAll()
	if err != nil || len(rows) != 4 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for i, head := range evalJSON(t, b, "run") {
		top1, _ := head["top1"].(float64)
		if want := rows[i+1][2]; strconv.FormatFloat(top1, 'g', -1, 64) != want {
			t.Errorf("module %d: %g, the report says %s", i+1, top1, want)
		}
	}
	succeed(t, "eval", b.path("run"), "--data", b.data, "--report", b.path("report")) // it replaces its own
	refuse(t, []string{"--report is empty", "folder"}, "eval", b.path("run"), "--data", b.data, "--report", "")
	refuse(t, []string{b.path("run"), "holds a run"}, "eval", b.path("run"), "--data", b.data, "--report", b.path("run"))
	write(t, b.path("mine/index.html"), []byte("mine"))
	refuse(t, []string{"index.html", "move it away"}, "eval", b.path("run"), "--data", b.data, "--report", b.path("mine"))
	if string(read(t, b.path("mine/index.html"))) != "mine" {
		t.Error("a page of somebody else's was replaced")
	}
}
