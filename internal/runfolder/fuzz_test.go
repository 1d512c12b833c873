package runfolder

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
)

// hasty is a file system that waits for no disk.
type hasty struct{ disk.FS }

type hastyFile struct{ disk.File }

func (h hasty) OpenFile(path string, flag int, perm fs.FileMode) (disk.File, error) {
	f, err := h.FS.OpenFile(path, flag, perm)
	if err != nil {
		return nil, err
	}
	return hastyFile{f}, nil
}
func (hasty) SyncDir(string) error { return nil }
func (hastyFile) Sync() error      { return nil }

// FuzzManifest holds that no list of files, whatever it says, makes a run remove or claim anything outside its folder, nor
// what is not on the list.
func FuzzManifest(f *testing.F) {
	f.Add(`{"files":["last.safetensors","plots/loss.svg"],"start":{"init":"/x","total":5}}`)
	f.Add(`{"files":["../outside","/etc/passwd","..","","a/../../outside",".lock","manifest.json"],"runs":["../x","a"]}`)
	f.Add(`{"files":null,"runs":[null]}`)
	f.Add(`{"files":["sub","sub/inner","sub/../mine"]}`)
	f.Add(`{"files":["gone/../mine"]}`)
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		top := t.TempDir()
		defer disk.Mount(top, hasty{disk.System})()
		dir := filepath.Join(top, "run")
		outside, mine, inner := filepath.Join(top, "outside"), filepath.Join(dir, "mine"), filepath.Join(dir, "sub", "inner")
		for path, content := range map[string]string{outside: "o", mine: "m", inner: "i", filepath.Join(dir, manifestFile): text} {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		r, err := Open(dir, nil, nil)
		if err != nil {
			if !fault.Is(err) {
				t.Fatalf("%v is no fault", err)
			}
			return
		}
		defer r.Close()
		listed := r.Owns("mine")
		for _, name := range append(r.Files("*"), r.Runs()...) {
			if !filepath.IsLocal(name) {
				t.Errorf("%q is taken for the run's own", name)
			}
		}
		if err := r.Clear(); err != nil && !fault.Is(err) {
			t.Errorf("%v is no fault", err)
		}
		if _, err := os.Stat(outside); err != nil {
			t.Error("a file outside the folder is gone")
		}
		if _, err := os.Stat(mine); err != nil && !listed {
			t.Error("a file that was not on the list is gone")
		}
	})
}
