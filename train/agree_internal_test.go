package train

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/mesh"
	"github.com/locus-learn/locus/recipe"
)

// says has three ranks say something to each other, and returns what each was told.
func says(t *testing.T, said [3]any, judge func(w *mesh.World, all [][]byte) error) (told [3]error) {
	t.Helper()
	worlds := mesh.Twins(mesh.Shape{Data: 3, Modules: 1}, mesh.Options{Data: 3, Modules: 1, Timeout: 20})
	var all sync.WaitGroup
	for rank, w := range worlds {
		text, err := json.Marshal(said[rank])
		if err != nil {
			t.Fatal(err)
		}
		if said[rank] == nil {
			text = nil
		}
		all.Go(func() {
			_, told[rank] = w.Exchange(text, func(all [][]byte) ([]byte, error) { return nil, judge(w, all) })
		})
	}
	all.Wait()
	for _, w := range worlds {
		w.Close(nil, 0)
	}
	return told
}

// agreed wants no rank to be told anything, or all the same fault, with all of the words.
func agreed(t *testing.T, told [3]error, words ...string) {
	t.Helper()
	for rank, err := range told {
		if len(words) == 0 {
			if err != nil {
				t.Errorf("rank %d was told %v", rank, err)
			}
			continue
		}
		if !fault.Is(err) || strings.Contains(fmt.Sprint(err), "\n") || fmt.Sprint(err) != fmt.Sprint(told[0]) {
			t.Errorf("rank %d was told %v, want a fault of one line as rank 0 was: %v", rank, err, told[0])
		}
		for _, word := range words {
			if !strings.Contains(fmt.Sprint(err), word) {
				t.Errorf("rank %d was told %q, want it to have %q", rank, err, word)
			}
		}
	}
}

// Ranks that run different things are told so before the first step, all of them, with the two ranks that differ.
func TestRanksThatDifferAreNamed(t *testing.T) {
	c := Defaults()
	c.Name = "same"
	described := func(change func(*Config)) string {
		other := c
		if change != nil {
			change(&other)
		}
		doc, err := recipe.Describe(&other)
		if err != nil {
			t.Fatal(err)
		}
		return string(doc)
	}
	for name, tt := range map[string]struct {
		rank   int
		change func(*hello)
		words  []string
	}{
		"alike":     {1, func(*hello) {}, nil},
		"version":   {2, func(h *hello) { h.Version = "v9 abc" }, []string{"rank 0 on twin", "rank 2 on twin", "locus", "v9 abc"}},
		"libtorch":  {1, func(h *hello) { h.Engine = "9.9.9" }, []string{"rank 0 on twin", "rank 1 on twin", "libtorch", "9.9.9"}},
		"seed":      {1, func(h *hello) { h.Recipe = described(func(c *Config) { c.Seed++ }) }, []string{"rank 0 on twin", "rank 1 on twin", "seed"}},
		"two keys":  {2, func(h *hello) { h.Recipe = described(func(c *Config) { c.Seed++; c.Data.Batch++ }) }, []string{"rank 2 on twin", "seed", "data.batch"}},
		"sync_norm": {2, func(h *hello) { h.Recipe = described(func(c *Config) { c.Mesh.SyncNorm = true }) }, []string{"rank 2 on twin", "mesh.sync_norm"}},
		"own folder": {2, func(h *hello) {
			h.Recipe = described(func(c *Config) { c.Data.Dir, c.Threads = "/there", 3 })
		}, nil},
		"resumed":    {1, func(h *hello) { h.Recipe = "" }, nil},
		"unreadable": {1, func(h *hello) { h.Recipe = "no: such: recipe" }, []string{"rank 1 on twin"}},
		"unknown":    {1, func(h *hello) { h.Recipe = "colour: blue\n" }, []string{"rank 1 on twin", "colour"}},
	} {
		t.Run(name, func(t *testing.T) {
			var said [3]any
			for rank := range said {
				h := newHello(described(nil))
				if rank == tt.rank {
					tt.change(&h)
				}
				said[rank] = h
			}
			agreed(t, says(t, said, func(w *mesh.World, all [][]byte) error { return alike(w, c, all) }), tt.words...)
		})
	}
	said := [3]any{newHello(described(nil)), newHello(described(nil)), 7}
	agreed(t, says(t, said, func(w *mesh.World, all [][]byte) error { return alike(w, c, all) }), "rank 2 on twin", "another locus")
}

// What needs the whole network in one process is refused with several.
func TestProcessesDoNotGoWith(t *testing.T) {
	for key, change := range map[string]func(*Config){
		"":                func(*Config) {},
		"method.resident": func(c *Config) { c.Method.Resident = 1 },
		"method.pipeline": func(c *Config) { c.Method.Pipeline = 2 },
	} {
		c := Defaults()
		change(&c)
		err := c.together(mesh.Shape{Data: 2, Modules: 1})
		if (key == "") != (err == nil) || err != nil && (!fault.Is(err) || !strings.HasPrefix(err.Error(), key+" is ")) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// Ranks that read other data, or none, are told so, too.
func TestRanksWithOtherDataAreNamed(t *testing.T) {
	type problem struct{ Problem string }
	one := data.Fingerprint{Train: "8", Test: "4"}
	for name, tt := range map[string]struct {
		said  [3]any
		words []string
	}{
		"alike":        {[3]any{one, one, one}, nil},
		"reads none":   {[3]any{one, nil, one}, nil},
		"more images":  {[3]any{one, one, data.Fingerprint{Train: "9", Test: "4"}}, []string{"rank 2 on twin", "rank 0 on twin", "--data"}},
		"cannot read":  {[3]any{one, problem{"no such folder"}, one}, []string{"rank 1 on twin", "no such folder"}},
		"what is this": {[3]any{one, "x", one}, []string{"rank 1 on twin", "another locus"}},
	} {
		t.Run(name, func(t *testing.T) { agreed(t, says(t, tt.said, sameData), tt.words...) })
	}
}
