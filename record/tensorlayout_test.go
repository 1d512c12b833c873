package record

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// testdata/layout.py writes the same with TensorBoard's own code.
func TestLayoutIsTensorBoards(t *testing.T) {
	want, err := os.ReadFile("testdata/layout.bin")
	if err != nil {
		t.Fatal(err)
	}
	got := layoutSummary([]category{{"Modules", []chart{{"loss", []string{`^loss/module_\d+$`}}, {"both", []string{"a", "b"}}}}, {title: "Run"}})
	if !bytes.Equal(got, want) {
		t.Errorf("layout is\n%q, want\n%q", got, want)
	}
}

// Each expression of the layout finds points in what a run writes, and each run has the layout.
func TestLayoutFindsItsTags(t *testing.T) {
	dir := t.TempDir()
	tb, err := OpenTensorBoard(dir)
	if err != nil {
		t.Fatal(err)
	}
	one := 1.0
	e := epochs(1, 2)
	e[0].ValAcc, e[0].TrainAcc, e[0].TestLoss = &one, &one, &one
	feed(t, tb, Start{}, steps(10, 2, 10), e)
	tags := map[string]bool{}
	for _, event := range readEvents(t, filepath.Join(dir, tb.Name())) {
		for tag := range event.scalars {
			tags[tag] = true
		}
	}
	if !tags[tagLayout] {
		t.Errorf("the file has no %s", tagLayout)
	}
	for _, c := range layout {
		for _, chart := range c.charts {
			for _, expression := range chart.tags {
				at, found := regexp.MustCompile(expression), false
				for tag := range tags {
					found = found || at.MatchString(tag)
				}
				if !found {
					t.Errorf("%s: no tag matches %s", strings.Join([]string{c.title, chart.title}, ", "), expression)
				}
			}
		}
	}
}
