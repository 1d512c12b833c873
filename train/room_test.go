package train_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/train"
)

// What memory and disk have no room for is refused before anything is written, or told in a line, with what to change. The
// network has 40 KB of weights, a step takes about 1 MiB.
func TestRoomIsLookedAt(t *testing.T) {
	b := newWorkbench(t)
	const plenty, unknown = 1 << 40, -1
	for _, tt := range []struct {
		name               string
		memory, free, disk int64
		sets               []string
		refused, warned    string
	}{
		{name: "plenty", memory: plenty, free: plenty, disk: plenty},
		{name: "unknown", memory: plenty, free: unknown, disk: unknown},
		{name: "memory for less", memory: 1 << 18, free: 1 << 18, disk: plenty, refused: "data.batch"},
		{name: "memory in use", memory: plenty, free: 1 << 18, disk: plenty, warned: "256.0 KiB are free"},
		{name: "a method that is not planned", memory: 1 << 15, free: 1 << 15, disk: plenty, sets: []string{"method.name=greedy"}, refused: "data.batch"},
		{name: "no disk", memory: plenty, free: plenty, disk: 1 << 10, refused: "make room"},
		{name: "a full disk", memory: plenty, free: plenty, disk: 0, refused: "0.0 KiB are free"},
		{name: "disk for one", memory: plenty, free: plenty, disk: 60 << 10, warned: "two of each file"},
		{name: "disk for two", memory: plenty, free: plenty, disk: 130 << 10},
		{name: "disk for two of ten", memory: plenty, free: plenty, disk: 130 << 10, sets: []string{"checkpoint.keep=10"}, warned: "two of each file"},
		{name: "disk and averages", memory: plenty, free: plenty, disk: 130 << 10, sets: []string{"optim.ema=0.9", "data.validation=8"}, warned: "two of each file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			defer train.Surround(tt.memory, tt.free, tt.disk)()
			c, err := train.Load(filepath.Join(b.dir, "small.yaml"), tt.sets)
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			out := filepath.Join(t.TempDir(), "run")
			r, err := train.FromRecipe(c, train.Options{
				Data: b.dir, Out: out, Steps: 1, Notice: func(line string) { lines = append(lines, line) },
			})
			if err == nil {
				defer r.Close()
			}
			if tt.refused == "" && err != nil || tt.refused != "" && (!fault.Is(err) || !strings.Contains(err.Error(), tt.refused)) {
				t.Errorf("want %q, got %v", tt.refused, err)
			}
			if _, there := os.Stat(out); tt.refused != "" && there == nil {
				t.Error("a run that was refused has a folder")
			}
			t.Log(err, lines)
			all := strings.Join(lines[min(1, len(lines)):], "\n") // the first says that the set is a subset
			if tt.warned == "" && all != "" || !strings.Contains(all, tt.warned) {
				t.Errorf("want a warning with %q, got %q", tt.warned, all)
			}
		})
	}
}

// A run that goes on needs no more than what it has already written, and its next files.
func TestRoomOfARunThatGoesOn(t *testing.T) {
	b := newWorkbench(t)
	b.must(t, "run", nil)
	c, err := train.Load(filepath.Join(b.dir, "small.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer train.Surround(1<<40, 1<<40, 60<<10)()
	var lines []string
	r, err := train.FromRecipe(c, train.Options{
		Data: b.dir, Out: filepath.Join(b.dir, "run"), Resume: true, Steps: -1, Notice: func(line string) { lines = append(lines, line) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if strings.Contains(strings.Join(lines, "\n"), "two of each") {
		t.Errorf("warned of %q", lines)
	}
}
