package train_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/runfolder"
	"github.com/locus-learn/locus/train"
)

// A run that lost its folder to another process, as a machine can that a network file system did not hear of, ends. What the
// other process has made of the folder stays, its lock among it.
func TestARunWhoseFolderIsTakenOver(t *testing.T) {
	for name, sets := range map[string][]string{
		"in the course of training": nil,
		"streamed":                  {"method.resident=1", "method.signals=spill", "method.visit=2"},
		"averaged":                  {"optim.ema=0.9"},
		"kept":                      {"checkpoint.keep=3"},
	} {
		for when, step := range map[string]int{"early": 2, "at the last step": total} {
			t.Run(name+", "+when, func(t *testing.T) {
				b := newWorkbench(t)
				dir := filepath.Join(b.dir, "run")
				var theirs map[string]string
				takeover := newSpy()
				takeover.at, takeover.fire = step, func() {
					if err := os.WriteFile(filepath.Join(dir, ".lock"), []byte("elsewhere 7 000000001 0badf00d\n"), 0o644); err != nil {
						t.Error(err)
					}
					for _, file := range waiting(t, dir) { // their modules wait under the same names
						if err := os.WriteFile(file, []byte("theirs"), 0o644); err != nil {
							t.Error(err)
						}
					}
					theirs = texts(t, dir)
				}
				c, err := train.Load(filepath.Join(b.dir, "small.yaml"), sets)
				if err != nil {
					t.Fatal(err)
				}
				r, err := train.FromRecipe(c, train.Options{Data: b.dir, Out: dir, Steps: total, Sink: takeover})
				if err != nil {
					t.Fatal(err)
				}
				_, err = r.Train(t.Context())
				if _, lost := errors.AsType[*runfolder.Lost](err); !lost || !fault.Is(err) || !strings.Contains(err.Error(), `process 7 on "elsewhere"`) {
					t.Errorf("the run ends with %v, want that the folder is another process's", err)
				}
				_ = r.Close()
				if diff := cmp.Diff(theirs, texts(t, dir)); diff != "" {
					t.Errorf("the run has changed the other process's folder:\n%.2000s", diff)
				}
			})
		}
	}
}

// waiting lists the files in which modules and signals wait.
func waiting(t *testing.T, dir string) []string {
	files, err := filepath.Glob(filepath.Join(dir, "spill", "*"))
	if err != nil {
		t.Error(err)
	}
	return files
}

// texts are the files of a folder but for what a run only adds to: its log and that of TensorBoard.
func texts(t *testing.T, dir string) map[string]string {
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(d.Name(), "tfevents") || d.Name() == "metrics.jsonl" {
			return err
		}
		text, err := os.ReadFile(path)
		all[path] = string(text)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return all
}
