package images

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/data"
)

func TestOpenReadsEverySet(t *testing.T) {
	isolate(t)
	for _, s := range specs {
		if s.scan != nil {
			continue // TestOpenPhotos
		}
		t.Run(s.name, func(t *testing.T) {
			dir := writeSet(t, s.name, 12, 7)
			set, err := openSet(options(s.name), 1, []string{dir})
			if err != nil {
				t.Fatal(err)
			}
			want := fakeImages(12, len(s.classes), s.shape)
			if !bytes.Equal(limit(set.Train, 12).Pixels, want.Pixels) || !slices.Equal(limit(set.Train, 12).Labels, want.Labels) {
				t.Error("the first training images are not those of the files")
			}
			files := max(1, len(s.train.files)*min(1, s.labels)) // CIFAR's files follow each other
			if got := set.Train.Len(); got != 12*files {
				t.Errorf("got %d training images, want %d", got, 12*files)
			}
			if set.Test.Len() != 7 || set.Validation.Len() != 0 || !set.Subset || set.Dir != dir {
				t.Errorf("got %d test, %d validation, subset %v, from %s", set.Test.Len(), set.Validation.Len(), set.Subset, set.Dir)
			}
			if len(set.Notes) != 1 || !strings.Contains(set.Notes[0], "7 of 10000 test") {
				t.Errorf("warnings are %q", set.Notes)
			}
			if len(set.Mean) != s.shape.C || len(set.Std) != s.shape.C || !slices.Equal(set.Classes, s.classes) {
				t.Errorf("mean %v, std %v, classes %v", set.Mean, set.Std, set.Classes)
			}
		})
	}
}

func TestOpenSplitsAndLimits(t *testing.T) {
	isolate(t)
	dir := writeSet(t, "mnist", 40, 9)
	o := options("mnist")
	o.Validation, o.Limit, o.TestLimit, o.Batch = 0.25, 8, 5, 8
	o.Mean, o.Std = []float64{0.5}, []float64{0.25}
	set, err := openSet(o, 3, []string{dir})
	if err != nil {
		t.Fatal(err)
	}
	if a, b, c := set.Train.Len(), set.Validation.Len(), set.Test.Len(); a != 8 || b != 10 || c != 5 {
		t.Errorf("got %d training, %d validation, %d test images, want 8, 10, 5", a, b, c)
	}
	if set.Mean[0] != 0.5 || set.Std[0] != 0.25 {
		t.Errorf("got mean %v, std %v", set.Mean, set.Std)
	}
	o.Batch = 9
	_, err = openSet(o, 3, []string{dir})
	wantFault(t, err, "data.batch is 9", "at most 8")
	o.Validation = 40
	_, err = openSet(o, 3, []string{dir})
	wantFault(t, err, "data.validation is 40", "40 training images")
}

func TestOpenSearchesInOrder(t *testing.T) {
	isolate(t)
	set := func(sub string) string { // a root that has the set in a sub-folder
		root := t.TempDir()
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(sub)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(writeSet(t, "mnist", 2, 2), filepath.Join(root, sub)); err != nil {
			t.Fatal(err)
		}
		return root
	}
	empty, explicit, own, env, env2 := t.TempDir(), set("MNIST/raw"), set("mnist"), set("mnist"), set("mnist")
	shareDirs = []string{empty, set("datasets/mnist")}
	open := func(dir string, dirs ...string) *testSet {
		t.Helper()
		o := options("mnist")
		o.Dir = dir
		got, err := openSet(o, 1, dirs)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	check := func(what, got, root, sub string) {
		t.Helper()
		if want := filepath.Join(root, sub); got != want {
			t.Errorf("%s: got %s, want %s", what, got, want)
		}
	}
	check("installed", open("").Dir, shareDirs[1], "datasets/mnist")
	t.Setenv(data.EnvDir, empty+string(os.PathListSeparator)+env+string(os.PathListSeparator)+env2)
	check("environment", open("").Dir, env, "mnist")
	check("data.dir", open(own).Dir, own, "mnist")
	check("explicit", open(own, empty, explicit).Dir, explicit, "MNIST/raw")
	fallen := open("", empty)
	check("explicit without the set", fallen.Dir, env, "mnist")
	if !strings.Contains(fallen.Notes[0], empty) {
		t.Errorf("no warning that %s was passed over: %q", empty, fallen.Notes)
	}
}

func TestOpenRefuses(t *testing.T) {
	isolate(t)
	const images, labels = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
	mnist := func(change func(dir string)) string {
		dir := writeSet(t, "mnist", 3, 3)
		change(dir)
		return dir
	}
	opening := func(set string) []byte {
		s, _ := lookup(set)
		return idx([]byte(s.opening), 10)
	}
	for _, tt := range []struct {
		name, set, dir string
		want           []string
	}{
		{"nowhere", "cifar10", t.TempDir(), []string{"data_batch_1.bin", shareDirs[0], "cifar-10-batches-bin", cifarHome}},
		{"no folder", "mnist", "/nonexistent", []string{`"/nonexistent"`, "no such file"}},
		{"a file missing", "mnist", mnist(func(d string) { os.Remove(filepath.Join(d, labels)) }), []string{labels, "in ", "to get it"}},
		{"truncated", "mnist", mnist(func(d string) { os.Truncate(filepath.Join(d, images), 100) }),
			[]string{images, "has 100 bytes, expected 2368"}},
		{"fewer labels", "mnist", mnist(func(d string) { write(t, d, labels, idx([]byte{1, 2}, 2)) }),
			[]string{labels, "2 labels", "3 images"}},
		{"label", "mnist", mnist(func(d string) { write(t, d, labels, idx([]byte{1, 10, 2}, 3)) }),
			[]string{labels, "record 1 has label 10: must be 0 to 9"}},
		{"not gzip", "mnist", mnist(func(d string) { write(t, d, labels, []byte{0x1f, 0x8b, 1, 2, 3}) }),
			[]string{labels, "cannot be unzipped"}},
		{"the other MNIST", "mnist", mnist(func(d string) {
			write(t, d, images, idx(make([]byte, 7840), 10, 28, 28))
			write(t, d, labels, opening("fashion-mnist"))
		}), []string{labels, "belongs to fashion-mnist", "data.set is mnist"}},
		{"names", "cifar10", func() string {
			dir := writeSet(t, "cifar10", 1, 1)
			write(t, dir, "batches.meta.txt", []byte("cat\ndog\n"))
			return dir
		}(), []string{"batches.meta.txt", "2 names", "10"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := openSet(options(tt.set), 1, []string{tt.dir})
			wantFault(t, err, tt.want...)
		})
	}
	_, err := openSet(options("mnist"), 1, nil)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v does not wrap fs.ErrNotExist", err)
	}
	file := filepath.Join(mnist(func(string) {}), images)
	_, err = openSet(options("mnist"), 1, []string{file})
	wantFault(t, err, file, "must be a folder")
	_, err = openSet(data.Options{}, 1, nil)
	wantFault(t, err, "data: set is", "must be one of")
}

func TestCheck(t *testing.T) {
	isolate(t)
	dir := writeSet(t, "cifar100", 250, 30)
	r, err := data.Check(t.Context(), "cifar100", []string{dir})
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != data.Subset || r.Dir != dir || r.Train.Images != 250 || r.Test.Images != 30 || r.Train.Official != 50000 {
		t.Errorf("got %+v", r)
	}
	if r.Train.PerClass[0] != 3 || r.Train.PerClass[99] != 2 || r.Test.PerClass[30] != 0 {
		t.Errorf("classes are counted as %v", r.Train.PerClass)
	}
	if len(r.Files) != 2 || r.Files[0].Bytes != 250*3074 || filepath.Base(r.Files[0].Path) != "train.bin" {
		t.Errorf("files are %+v", r.Files)
	}
	if err := os.Remove(filepath.Join(dir, "test.bin")); err != nil {
		t.Fatal(err)
	}
	r, err = data.Check(t.Context(), "cifar100", []string{dir})
	if err != nil || r.Status != data.Broken || r.Train.Problem != nil || r.Files[1] != (data.File{Name: "test.bin"}) {
		t.Errorf("got %+v, %v", r, err)
	}
	wantFault(t, r.Test.Problem, "test.bin")
	_, err = data.Check(t.Context(), "mnist", []string{dir})
	wantFault(t, err, "mnist", "train-images-idx3-ubyte")
	_, err = data.Check(t.Context(), "svhn", nil)
	wantFault(t, err, "svhn")
}

func TestSetsAreRegistered(t *testing.T) {
	isolate(t)
	dir := writeSet(t, "cifar10", 1, 1)
	for _, e := range data.Sets() {
		at, looked := e.Home.Find([]string{dir})
		if found := at == dir; found != (e.Name == "cifar10") {
			t.Errorf("%s: found in %q", e.Name, at)
		}
		if e.Home.Own {
			if at != "" || e.Home.Get == "" || looked[0] != dir {
				t.Errorf("got %+v, %q", e.Home, looked)
			}
			continue
		}
		if looked[0] != dir || len(e.Home.Files) < 2 || e.Home.Get == "" || e.Home.Train < e.Home.Test || e.Doc == "" {
			t.Errorf("got %+v, %q", e, looked)
		}
	}
}
