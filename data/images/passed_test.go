package images

import (
	"archive/tar"
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/locus-learn/locus/data"
)

// Sub-folders of a class are taken, in a folder as in shards, in the order of the whole names.
func TestSubfoldersAreTaken(t *testing.T) {
	isolate(t)
	files := photoFiles(t, 2)
	for name, content := range maps.Clone(files) {
		if class, base, ok := strings.Cut(strings.TrimPrefix(name, "train/"), "/"); ok && strings.HasPrefix(name, "train/") {
			files["train/"+class+"/cam2/"+base] = content
			files["train/"+class+"/cam2/night/"+base] = content
		}
	}
	var batches [2][]data.Batch
	for i, set := range []string{"folder", "tar"} {
		content := files
		if set == "tar" {
			content = shards(t, files)
		}
		s := openPhotos(t, photoOptions(set), writeFolder(t, content))
		if s.Train.Len() != 18 || len(s.Classes) != 3 {
			t.Errorf("%s: got %d images of %q", set, s.Train.Len(), s.Classes)
		}
		if !slices.IsSortedFunc(s.Train.photos.files, func(a, b file) int { return strings.Compare(a.name, b.name) }) {
			t.Errorf("%s: the images are not in the order of their names", set)
		}
		batches[i] = drain(t, s.Train, loaderOptions{Batch: 4, Shuffle: true, Seed: 2})
	}
	for i, b := range batches[0] {
		if other := batches[1][i]; !bytes.Equal(b.Bytes, other.Bytes) || !slices.Equal(b.Labels, other.Labels) {
			t.Errorf("batch %d of the folder is not that of the shards", i)
		}
	}
}

// What is passed over is counted and named, in a line, when a set is opened and when it is checked.
func TestPassedOver(t *testing.T) {
	isolate(t)
	whole := photoFiles(t, 3)
	with := func(more map[string][]byte) map[string][]byte {
		files := maps.Clone(whole)
		maps.Copy(files, more)
		return files
	}
	packed := shards(t, whole)
	clean := map[string][]byte{"train-000.tar": packed["train-000.tar"], "train-001.tar": packed["train-001.tar"], "val.tar": packed["val.tar"]}
	withShards := func(more map[string][]byte) map[string][]byte {
		files := maps.Clone(clean)
		maps.Copy(files, more)
		return files
	}
	const usual = "6 files passed over: 3 not named as images (such as README.txt), 3 hidden (such as ant/._00.jpg)"
	lacking := maps.Clone(whole)
	delete(lacking, "val/bee/x.png")
	for _, tt := range []struct {
		name, set string
		files     map[string][]byte
		images    int
		want      []string
	}{
		{"nothing", "folder", whole, 9, nil},
		{"finder's file", "folder", with(map[string][]byte{"train/ant/.DS_Store": nil, "train/.DS_Store": nil}), 9, nil},
		{"no class", "folder", with(map[string][]byte{"train/x.jpg": nil, "train/y.jpg": nil}), 9,
			[]string{"2 files passed over: 2 outside of class folders (such as x.jpg)"}},
		{"others", "folder", with(map[string][]byte{"train/ant/x.gif": nil, "val/ant/._x.jpg": nil, "val/ant/notes.txt": nil}), 9,
			[]string{"3 files passed over: 2 not named as images (such as ant/x.gif), 1 hidden (ant/._x.jpg)"}},
		{"hidden folder", "folder", with(map[string][]byte{"train/ant/.thumbs/x.jpg": nil, "train/.git/y.png": nil, "train/.git/config": nil}), 9,
			[]string{"2 files passed over: 2 hidden (such as .git/y.png)"}},
		{"hidden folder in a shard", "tar", withShards(map[string][]byte{"train-002.tar": tarOf(t, plain("ant/.thumbs/x.jpg", nil))}), 9,
			[]string{"4 hidden"}},
		{"class that val lacks", "folder", lacking, 9, []string{"val has no images of 1 of 3 classes: bee"}},
		{"odd name", "folder", with(map[string][]byte{"train/ant/a\nb.gif": nil}), 9,
			[]string{`1 file passed over: 1 not named as an image ("ant/a\nb.gif")`}},
		{"usual shards", "tar", clean, 9, []string{usual}},
		{"empty shard", "tar", withShards(map[string][]byte{"train-002.tar": nil}), 9, []string{"1 empty shard (train-002.tar)"}},
		{"shard without images", "tar", withShards(map[string][]byte{"train-002.tar": make([]byte, 1024)}), 9,
			[]string{"1 shard without images (train-002.tar)"}},
		{"shard twice", "tar", withShards(map[string][]byte{"train-000 (1).tar": packed["train-000.tar"]}), 9,
			[]string{"1 shard that repeats another (train-000.tar)"}},
		{"entry twice in a shard", "tar", withShards(map[string][]byte{"train-002.tar": tarOf(t, plain("ant/x.jpg", nil), plain("ant/y.jpg", nil), plain("ant/x.jpg", whole["train/ant/00.jpg"]))}), 11,
			[]string{"1 replaced by a later entry of the same name (ant/x.jpg)"}},
		{"shards joined by cat", "tar", withShards(map[string][]byte{"train-002.tar": slices.Concat(packed["train-000.tar"], packed["train-001.tar"])}), 18,
			[]string{"8 files passed over: 4 not named"}},
		{"compressed shard", "tar", withShards(map[string][]byte{"train-002.tar.gz": nil}), 9, []string{"1 compressed shard (train-002.tar.gz)"}},
		{"entry without a class", "tar", withShards(map[string][]byte{"train-002.tar": tarOf(t, plain("x.jpg", nil))}), 9,
			[]string{"1 outside of class folders (x.jpg)"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := writeFolder(t, tt.files)
			s := openPhotos(t, photoOptions(tt.set), dir)
			if s.Train.Len() != tt.images || len(s.Notes) != len(tt.want) {
				t.Fatalf("got %d images and %q, want %q", s.Train.Len(), s.Notes, tt.want)
			}
			for i, want := range tt.want {
				if !strings.Contains(s.Notes[i], want) || strings.Contains(s.Notes[i], "\n") {
					t.Errorf("got %q, want %q", s.Notes[i], want)
				}
			}
			r, err := data.Check(t.Context(), tt.set, []string{dir})
			if err != nil || !slices.Equal(r.Notes, s.Notes) {
				t.Errorf("the check says %q (%v)", r.Notes, err)
			}
		})
	}
}

// A link to a folder that it lies in must not lead round and round, nor give a class the images of others.
func TestLinksUp(t *testing.T) {
	isolate(t)
	for name, tt := range map[string]struct{ link, to, passed string }{
		"to its class":        {"train/ant/again", "train/ant", "ant/again"},
		"to its part":         {"train/ant/again", "train", "ant/again"},
		"to the set":          {"train/ant/again", ".", "ant/again"},
		"above the set":       {"train/ant/again", "..", "ant/again"},
		"from a folder below": {"train/ant/below/again", "train/ant", "ant/below/again"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := writeFolder(t, photoFiles(t, 2))
			link := filepath.Join(dir, filepath.FromSlash(tt.link))
			if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Join(dir, filepath.FromSlash(tt.to)), link); err != nil {
				t.Skip(err)
			}
			s := openPhotos(t, photoOptions("folder"), dir)
			if s.Train.Len() != 6 || len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "1 link to a folder above ("+tt.passed+")") {
				t.Errorf("got %d images and %q", s.Train.Len(), s.Notes)
			}
		})
	}
	t.Run("to and fro", func(t *testing.T) { // ant has the images of bee and bee those of ant, as the links say
		dir := writeFolder(t, photoFiles(t, 2))
		for from, to := range map[string]string{"ant": "bee", "bee": "ant"} {
			if err := os.Symlink(filepath.Join(dir, "train", to), filepath.Join(dir, "train", from, "other")); err != nil {
				t.Skip(err)
			}
		}
		s := openPhotos(t, photoOptions("folder"), dir)
		if s.Train.Len() != 10 || len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "2 links to a folder above") {
			t.Errorf("got %d images and %q", s.Train.Len(), s.Notes)
		}
	})
}

// A folder that almost holds the set is told what it lacks.
func TestHints(t *testing.T) {
	isolate(t)
	whole := photoFiles(t, 1)
	under := func(from, to string) map[string][]byte {
		files := map[string][]byte{}
		for name, content := range whole {
			files[strings.Replace(name, from, to, 1)] = content
		}
		return files
	}
	packed := shards(t, whole)
	for _, tt := range []struct {
		name, set string
		files     map[string][]byte
		want      string
	}{
		{"test", "folder", under("val/", "test/"), "it has test but no val: rename it, or link it: ln -s test val"},
		{"validation", "folder", under("val/", "validation/"), "it has validation but no val"},
		{"Val", "folder", under("val/", "Val/"), "it has Val: rename it to val, in lower case"},
		{"Train", "folder", under("train/", "Train/"), "it has Train: rename it to train"},
		{"training", "folder", under("train/", "training/"), "it has training but no train"},
		{"flat", "folder", map[string][]byte{"1.jpg": nil, "2.jpg": nil}, "it has 2 images, such as 1.jpg, and no folders for them"},
		{"classes", "folder", map[string][]byte{"ant/1.jpg": nil}, "its folders, such as ant, have images, but there is no train"},
		{"one level down", "folder", under("", "imagenet/"), "its folder imagenet has the set: name that with --data"},
		{"train in train", "folder", under("train/", "train/train/"), "its train holds nothing but train"},
		{"gzip", "tar", map[string][]byte{"train.tar.gz": nil, "val.tar": packed["val.tar"]}, "train.tar.gz is compressed: unpack it"},
		{"shards.tar.gz", "tar", map[string][]byte{"shards.tar.gz": nil}, "it has shards.tar.gz, but no train*.tar"},
		{"other names", "tar", map[string][]byte{"ants.tar": nil}, "it has ants.tar, but no train*.tar"},
		{"one level down", "tar", map[string][]byte{"x/train.tar": packed["train-000.tar"], "x/val.tar": packed["val.tar"]}, "its folder x has the set"},
	} {
		t.Run(tt.set+" "+tt.name, func(t *testing.T) {
			_, err := openSet(photoOptions(tt.set), 1, []string{writeFolder(t, tt.files)})
			wantFault(t, err, tt.want)
		})
	}
}

// Files that are no images say what they are, wherever they are read.
func TestFilesSayWhatTheyAre(t *testing.T) {
	isolate(t)
	for content, want := range map[string]string{
		"": "is empty", "version https://git-lfs.github.com/spec/v1\n": "git lfs pull", "<!DOCTYPE html>": "web page",
		"PK\x03\x04": "zip", "\x1f\x8b\x08": "gunzip", "<?xml version='1.0'?><Error/>": "XML",
		"\x40\x00\x00\x00\x00\x00\x00\x00{\"x\":{}}": "safetensors", "\x00\x00\x00\x18ftypheic": "HEIC",
	} {
		dir := t.TempDir()
		write(t, dir, "x.jpg", []byte(content))
		_, err := Read(photoOptions("folder"), filepath.Join(dir, "x.jpg"), data.Shape{C: 3, H: 8, W: 8})
		wantFault(t, err, "x.jpg", want)

		files := shards(t, photoFiles(t, 1))
		if content != "" { // which is passed over
			files["train-000.tar"] = []byte(content)
			_, err = openSet(photoOptions("tar"), 1, []string{writeFolder(t, files)})
			wantFault(t, err, "train-000.tar", want)
		}
		if want == "gunzip" {
			continue // which the files of MNIST may be
		}
		home := writeSet(t, "mnist", 2, 1)
		write(t, home, "train-images-idx3-ubyte", []byte(content))
		_, err = openSet(options("mnist"), 1, []string{home})
		wantFault(t, err, "train-images-idx3-ubyte", want)
	}
}

// To open a pipe can take for ever: it must be refused before.
func TestPipesAreRefused(t *testing.T) {
	isolate(t)
	dir := writeSet(t, "mnist", 2, 1)
	path := filepath.Join(dir, "train-images-idx3-ubyte")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	_, err := openSet(options("mnist"), 1, []string{dir})
	wantFault(t, err, "a named pipe")
}

// A name from an archive reaches messages as text.
func TestNamesAreText(t *testing.T) {
	isolate(t)
	files := map[string][]byte{
		"train.tar": tarOf(t, plain("a\x1b[2J/x.png", nil)),
		"val.tar":   tarOf(t, plain("b\nc/x.png", nil), entry{tar.Header{Typeflag: tar.TypeDir, Name: "d/"}, nil}),
	}
	o := photoOptions("tar")
	o.Batch = 1
	_, err := openSet(o, 1, []string{writeFolder(t, files)})
	wantFault(t, err, `class "b\nc" of val`)
	p := photos{dir: "set", files: []file{{name: "a\x1b[2J/x.png", shard: standalone}}}
	if got, want := p.title(0), `"set/a\x1b[2J/x.png"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Test images that are training images are told, in a folder, in shards and in tables; those of the same name alone are not.
func TestTestImagesThatAreTrainingImages(t *testing.T) {
	isolate(t)
	files := photoFiles(t, 4)
	copied := map[string][]byte{}
	n := 0
	for name, content := range files {
		if rest, ok := strings.CutPrefix(name, "train/"); ok {
			copied[name], copied["val/"+rest] = content, content
			if isImage(name) {
				n++
			}
		}
	}
	other := maps.Clone(copied)
	for name, content := range other {
		if strings.HasPrefix(name, "val/") {
			other[name] = append(bytes.Clone(content[:len(content)-1]), content[len(content)-1]+1) // as long, and another
		}
	}
	table := "path,label\na/0.png,ant\na/1.png,bee\n"
	tables := map[string][]byte{"train.csv": []byte(table), "val.csv": []byte("path,label\na/1.png,bee\na/2.png,ant\n")}
	for i, name := range []string{"val/bee/x.png", "train/bee/00.png", "val/bee/x.png"} {
		tables[fmt.Sprintf("a/%d.png", i)] = files[name]
	}
	packed := shards(t, copied)
	for _, tt := range []struct {
		name, set string
		files     map[string][]byte
		want      string
	}{
		{"a folder", "folder", files, ""},
		{"a copied folder", "folder", copied, fmt.Sprintf("%d of %d images in val are training images", n, n)},
		{"the same names", "folder", other, ""},
		{"shards", "tar", packed, "images in val are training images"},
		{"a table", "csv", tables, "1 of 2 images in val are training images, too, by name, size and bytes of some (such as a/1.png)"},
	} {
		o := photoOptions(tt.set)
		o.Batch = 2
		s, err := data.Open(o, 1, []string{writeFolder(t, tt.files)})
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		notes := strings.Join(s.Info().Notes, "\n")
		if tt.want == "" && strings.Contains(notes, "are training images") || !strings.Contains(notes, tt.want) {
			t.Errorf("%s: notes %q, want %q", tt.name, notes, tt.want)
		}
	}
}

// A set that is not in the folder looked in first, and is in another one, is told.
func TestAnotherFolderThanAsked(t *testing.T) {
	isolate(t)
	photos := writeFolder(t, photoFiles(t, 2))
	other := writeFolder(t, map[string][]byte{"train.csv": nil})
	above := filepath.Dir(photos)
	for _, tt := range []struct {
		dirs []string
		dir  string // the recipe's
		note bool
	}{
		{[]string{photos}, "", false},
		{nil, photos, false},
		{[]string{photos}, other, false},
		{[]string{other}, photos, true},
		{[]string{above}, filepath.Base(photos), false}, // a relative one is looked for in the first
	} {
		o := photoOptions("folder")
		o.Dir = tt.dir
		s, err := data.Open(o, 1, tt.dirs)
		if err != nil {
			t.Fatal(err)
		}
		want := "folder is not in " + other + ": using " + photos
		if notes := s.Info().Notes; slices.Contains(notes, want) != tt.note || !tt.note && len(notes) > 0 {
			t.Errorf("--data %q, data.dir %q: notes %q", tt.dirs, tt.dir, notes)
		}
	}
}
