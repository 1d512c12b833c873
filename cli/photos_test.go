package cli

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// newPhotos writes a set of two classes, 8 images each to train on and 2 to test, and returns its folder.
func newPhotos(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for part, n := range map[string]int{"train": 8, "val": 2} {
		for c, class := range []string{"day", "night"} {
			for i := range n {
				m := image.NewGray(image.Rect(0, 0, 40, 36+i))
				for k := range m.Pix {
					m.Pix[k] = byte(200*(1-c) + k%(7+i))
				}
				var content bytes.Buffer
				if err := png.Encode(&content, m); err != nil {
					t.Fatal(err)
				}
				path := filepath.Join(dir, part, class, fmt.Sprintf("%d.png", i))
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, content.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return dir
}

// From a folder of photographs to predictions, and what a broken one does on the way.
func TestPhotographs(t *testing.T) {
	dir := newPhotos(t)
	if out := succeed(t, "data", "list", "--data", dir); !strings.Contains(out, dir) {
		t.Errorf("the folder is not in\n%s", out)
	}
	if out := succeed(t, "data", "check", "folder", "--data", dir); !strings.Contains(out, "is complete: 16 of 16 training and 4 of 4 test images") {
		t.Errorf("got\n%s", out)
	}
	run := filepath.Join(t.TempDir(), "run")
	args := []string{"train", "cifar10-resnet32-layerwise-k3", "--data", dir, "--out", run, "--steps", "4", "--set", "data.set=folder",
		"--set", "data.size=32", "--set", "data.batch=4", "--set", "model.width=4", "--set", "model.depth=8", "--set", "data.augment=resized-crop",
		"--set", "data.jitter.brightness=0.4", "--set", "data.shuffle=false"}
	bad := filepath.Join(dir, "train", "day", "5.png")
	whole, err := os.ReadFile(bad)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bad, whole[:len(whole)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	r := locus(t.Context(), "data", "check", "folder", "--data", dir)
	if r.code != 2 || !strings.Contains(r.out, "broken: "+bad) || !strings.Contains(r.err, "1 of 16 images cannot be decoded") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	refuse(t, []string{"too many images", bad, "data.broken allows 0", "--resume"}, append(args, "--set", "data.broken=0")...)
	r = locus(t.Context(), append(args, "--force")...)
	if r.code != 0 || strings.Count(r.err, bad) != 1 {
		t.Errorf("exit code %d; the broken image must be named once, and no more\n%s", r.code, r.err)
	}
	if out := succeed(t, "eval", run, "--data", dir); !strings.Contains(out, "4 test images of folder") {
		t.Errorf("got\n%s", out)
	}
	if out := succeed(t, "predict", run, filepath.Join(dir, "val", "night", "0.png")); !strings.Contains(out, "day") || !strings.Contains(out, "night") {
		t.Errorf("got\n%s", out)
	}
	refuse(t, []string{"tar: file does not exist", "set data.set=folder", dir}, "data", "check", "tar", "--data", dir)
	refuse(t, []string{"crop.scale", "two values"}, append(args, "--set", "data.crop.scale=0.5", "--force")...)
	refuse(t, []string{"resize is 16"}, append(args, "--set", "data.resize=16", "--force")...)
}

// What is held out of training images is drawn among them: with others, images that were learned would be among those that are
// evaluated.
func TestEvaluationOfWhatWasHeldOut(t *testing.T) {
	dir := newPhotos(t)
	train := func(out string, sets ...string) string {
		out = filepath.Join(t.TempDir(), out)
		args := []string{"train", "--data", dir, "--out", out, "--steps", "1", "--set", "data.set=folder", "--set", "data.size=32", "--set", "data.batch=4",
			"--set", "model.name=mlp", "--set", "model.width=4", "--set", "model.depth=3", "--set", "head.name=linear"}
		for _, set := range sets {
			args = append(args, "--set", set)
		}
		succeed(t, args...)
		return out
	}
	split := train("split", "data.validation=4")
	hold := filepath.Join(t.TempDir(), "val")
	if err := os.Rename(filepath.Join(dir, "val"), hold); err != nil {
		t.Fatal(err)
	}
	drawn := train("drawn", "data.test=4")
	back := func() {
		t.Helper()
		if err := os.Rename(hold, filepath.Join(dir, "val")); err != nil {
			t.Fatal(err)
		}
	}
	succeed(t, "eval", drawn, "--data", dir)
	add := filepath.Join(dir, "train", "day", "new.png")
	content := read(t, filepath.Join(dir, "train", "day", "3.png"))
	write(t, add, content)
	refuse(t, []string{"training samples", "others would be held out", "--data"}, "eval", drawn, "--data", dir)
	remove(t, add)
	back()

	evaluate := []string{"eval", split, "--data", dir, "--on", "validation"}
	succeed(t, evaluate...)
	write(t, add, content)
	refuse(t, []string{"training samples", "others would be held out", "--data"}, evaluate...)
	succeed(t, "eval", split, "--data", dir) // whose test images are those of val
	remove(t, add)
	write(t, filepath.Join(dir, "val", "day", "new.png"), content)
	succeed(t, evaluate...)
	write(t, filepath.Join(dir, "train", "day", "3.png"), append(content, 0)) // mended, or touched by another program
	succeed(t, evaluate...)
}
