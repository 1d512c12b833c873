package runfolder_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/runfolder"
)

func open(t *testing.T, dir string, adopt ...string) *runfolder.Folder {
	t.Helper()
	f, err := runfolder.Open(dir, adopt, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func put(t *testing.T, f *runfolder.Folder, names ...string) {
	t.Helper()
	if err := f.Claim(names...); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		foreign(t, f.Dir, name)
	}
}

// foreign writes a file without asking the folder.
func foreign(t *testing.T, dir, name string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
}

func listing(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(dir, path)
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestOnlyOneProcessWorksInAFolder(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	_, err := runfolder.Open(dir, nil, nil)
	if !fault.Is(err) || !strings.Contains(err.Error(), "in use: process ") || !strings.Contains(err.Error(), dir) {
		t.Errorf("the second gets %v, want a fault that names folder and process", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	open(t, dir).Close()
	if left := listing(t, dir); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}

// By a network, another process may take a folder over from one that was cut off, and that comes back later.
func TestAFolderThatIsTakenOver(t *testing.T) {
	const theirs = "elsewhere 7 000000001 0badf00d\n"
	sign := func(dir string) error { return os.WriteFile(filepath.Join(dir, ".lock"), []byte(theirs), 0o644) }
	unlock := func(dir string) error { return os.Remove(filepath.Join(dir, ".lock")) }
	for name, tt := range map[string]struct {
		change func(t *testing.T, dir string) error
		says   string // "" where the folder stays this process's
	}{
		"the other one is at work": {func(_ *testing.T, dir string) error { return sign(dir) }, "process 7 on \"elsewhere\" uses it"},
		"the other one has a new lock": {func(_ *testing.T, dir string) error {
			return errors.Join(unlock(dir), sign(dir))
		}, "process 7 on \"elsewhere\" uses it"},
		"the other one is done": {func(t *testing.T, dir string) error {
			if err := unlock(dir); err != nil {
				return err
			}
			other := open(t, dir)
			put(t, other, "theirs")
			return other.Close()
		}, "another process has worked in it meanwhile"},
		"somebody removes the lock": {func(_ *testing.T, dir string) error { return unlock(dir) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			f := open(t, dir)
			put(t, f, "mine")
			if err := tt.change(t, dir); err != nil {
				t.Fatal(err)
			}
			before := listing(t, dir)
			for what, err := range map[string]error{
				"Check": f.Check(), "Claim": f.Claim("new"), "Remove": f.Remove("mine"), "Begin": f.Begin(runfolder.Start{Total: 3}),
			} {
				lost, ok := errors.AsType[*runfolder.Lost](err)
				switch {
				case tt.says == "" && err != nil:
					t.Errorf("%s fails: %v", what, err)
				case tt.says != "" && (!ok || !fault.Is(err) || lost.Dir != dir || !strings.Contains(err.Error(), tt.says)):
					t.Errorf("%s gives %v, want a fault that says %q", what, err, tt.says)
				}
			}
			if tt.says == "" {
				if _, err := runfolder.Open(dir, nil, nil); !fault.Is(err) {
					t.Errorf("a second process gets %v, want a fault", err)
				}
			} else if after := listing(t, dir); !slices.Equal(after, before) {
				t.Errorf("the folder has %v, want %v as before", after, before)
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			text, err := os.ReadFile(filepath.Join(dir, ".lock"))
			if at := strings.Contains(tt.says, "uses it"); at != (err == nil) || at && string(text) != theirs {
				t.Errorf("the lock is %q, %v afterwards", text, err)
			}
		})
	}
}

func TestOpenMakesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs", "one")
	f := open(t, dir)
	if _, err := os.Stat(dir); err == nil {
		t.Fatal("Open has made the folder")
	}
	other := open(t, dir)
	if err := f.Make(); err != nil {
		t.Fatal(err)
	}
	if err := other.Make(); !fault.Is(err) {
		t.Errorf("the second to make it gets %v, want a fault", err)
	}
	f.Close()
}

func TestClearLeavesWhatIsNotTheRuns(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	put(t, f, "config.yaml", "plots/loss.svg", "state-3.safetensors")
	f.Begin(runfolder.Start{Init: "a.safetensors", Total: 7})
	f.Close()
	foreign(t, dir, "plots/mine.svg")
	foreign(t, dir, "state-9.safetensors")
	foreign(t, dir, "notes.txt")

	f = open(t, dir, "*") // there is a manifest: nothing is adopted
	if s := f.Start(); s == nil || s.Init != "a.safetensors" || s.Total != 7 {
		t.Errorf("the run began with %+v", s)
	}
	if got := f.Files("state-*.safetensors"); !slices.Equal(got, []string{"state-3.safetensors"}) {
		t.Errorf("the run's states are %v", got)
	}
	if err := f.Clear(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	want := []string{"manifest.json", "notes.txt", "plots/mine.svg", "state-9.safetensors"}
	if got := listing(t, dir); !slices.Equal(got, want) {
		t.Errorf("left are %v, want %v", got, want)
	}
}

func TestClaimRefusesAForeignFile(t *testing.T) {
	dir := t.TempDir()
	foreign(t, dir, "config.yaml")
	f := open(t, dir)
	defer f.Close()
	if err := f.Claim("env.json", "config.yaml"); !fault.Is(err) || !strings.Contains(err.Error(), "config.yaml") {
		t.Errorf("claiming a foreign file: %v, want a fault that names it", err)
	}
	if f.Owns("env.json") || f.Owns("config.yaml") {
		t.Error("a claim that was refused has left something")
	}
	if err := f.Remove("config.yaml"); err != nil {
		t.Error(err)
	}
	if got := listing(t, dir); !slices.Contains(got, "config.yaml") {
		t.Error("a foreign file was removed")
	}
}

func TestRunsFromBeforeManifestsAreAdopted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a [b] *c?") // a name that Glob would take for a pattern
	for _, name := range []string{"config.yaml", "state-3.safetensors", "plots/loss.svg", "plots/mine.svg"} {
		foreign(t, dir, name)
	}
	f := open(t, dir, "config.yaml", "state-*.safetensors", "plots/loss.svg")
	defer f.Close()
	for name, want := range map[string]bool{"config.yaml": true, "state-3.safetensors": true, "plots/loss.svg": true, "plots/mine.svg": false} {
		if f.Owns(name) != want {
			t.Errorf("owning %s is %v, want %v", name, !want, want)
		}
	}
}

func TestAHostileManifestOwnsNothingOutside(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	foreign(t, dir, "../precious")
	text := `{"files": ["../precious", "/etc/passwd", "config.yaml"]}`
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "manifest.json"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	f := open(t, dir)
	defer f.Close()
	if err := f.Clear(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "../precious")); err != nil {
		t.Error("a file outside the folder is gone:", err)
	}
}

func TestRunsOfOneSecondGetFoldersOfTheirOwn(t *testing.T) {
	base := filepath.Join(t.TempDir(), "runs", "mlp-sgr-20260131-120000")
	var wait sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]bool{}
	for range 20 {
		wait.Go(func() {
			f, err := runfolder.New(base)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			seen[f.Dir] = true
			mu.Unlock()
			f.Close()
		})
	}
	wait.Wait()
	if len(seen) != 20 {
		t.Errorf("20 runs have %d folders", len(seen))
	}
}

func TestKilledWritersAreSweptAway(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	put(t, f, "config.yaml", "last.safetensors")
	f.Close()
	for _, name := range []string{".config.yaml12345", ".last.safetensors1", ".manifest.json99", ".mine77"} {
		foreign(t, dir, name)
	}
	open(t, dir).Close()
	if got, want := listing(t, dir), []string{".mine77", "config.yaml", "last.safetensors", "manifest.json"}; !slices.Equal(got, want) {
		t.Errorf("left are %v, want %v", got, want)
	}
}

func TestAFolderThatIsGoneIsNamed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	f := open(t, dir)
	if err := f.Make(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := f.Claim("last.safetensors"); !fault.Is(err) || !strings.Contains(err.Error(), "is gone") {
		t.Errorf("writing into a deleted folder: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}
