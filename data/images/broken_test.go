package images

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/data"
)

// damage cuts off files of a folder.
func damage(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		path := filepath.Join(dir, filepath.FromSlash(name))
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content[:len(content)*2/3], 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// A broken image is named once in a run and replaced by one that can be read, the same one every time.
func TestBrokenImageIsReplaced(t *testing.T) {
	isolate(t)
	dir := writeFolder(t, photoFiles(t, 5))
	damage(t, dir, "train/bee/01.png", "val/cat/x.png")
	set := openPhotos(t, photoOptions("folder"), dir)
	var notices []string
	data.OnBroken(set.Source, func(line string) { notices = append(notices, line) })
	o := loaderOptions{Batch: 5, Workers: 2, Shuffle: true, Seed: 1}
	want := drain(t, set.Train, o)
	for workers := 1; workers < 4; workers++ {
		o.Workers = workers
		if got := drain(t, set.Train, o); len(got) != 3 || !reflect.DeepEqual(got, want) {
			t.Fatalf("%d workers give other batches", workers)
		}
	}
	for _, b := range want {
		if b.N != 5 || len(b.Labels) != 5 || len(b.Bytes) != 5*set.Train.Shape.Size() {
			t.Errorf("a batch has %d images", b.N)
		}
	}
	seen := 0
	for _, b := range drain(t, set.Test, loaderOptions{Batch: 1, KeepLast: true}) {
		seen += b.N
		if slices.Contains(b.Labels, 2) {
			t.Error("the broken test image is delivered")
		}
	}
	if seen != 2 {
		t.Errorf("evaluation sees %d test images, want the 2 that can be read", seen)
	}
	if len(notices) != 2 || !strings.Contains(notices[0], filepath.Join(dir, "train", "bee", "01.png")+" cannot be decoded") {
		t.Errorf("noticed %q, want each image once", notices)
	}
}

// Too many broken images end the epoch with a fault that says where it stands; the batches before are delivered.
func TestTooManyBrokenImagesStop(t *testing.T) {
	isolate(t)
	dir := writeFolder(t, photoFiles(t, 5))
	damage(t, dir, "train/ant/03.jpg", "train/bee/01.png")
	for allowed, batches := range map[data.Portion]int{0: 0, 1: 1, 2: 3} {
		o := photoOptions("folder")
		o.Broken = allowed
		set := openPhotos(t, o, dir)
		l := newLoader(set.Train, loaderOptions{Batch: 5, Workers: 2})
		n := 0
		var err error
		for ; err == nil; n++ {
			_, err = l.Next(t.Context())
		}
		l.Close()
		if n-1 != batches {
			t.Errorf("with %g allowed: %d batches, want %d", allowed, n-1, batches)
		}
		if allowed == 2 {
			if err != io.EOF {
				t.Errorf("with 2 allowed: %v", err)
			}
			continue
		}
		if wantFault(t, err, "of 15 training images", "data.broken allows", "locus data check folder"); !errors.Is(err, data.ErrBroken) {
			t.Errorf("%v does not wrap data.ErrBroken", err)
		}
	}
}

// A set of which nothing can be read stops, however much is allowed.
func TestNothingReadable(t *testing.T) {
	isolate(t)
	files := photoFiles(t, 3)
	for name := range files {
		files[name] = []byte("\xff\xd8\xff nothing")
	}
	o := photoOptions("folder")
	o.Broken = 0.99
	l := newLoader(openPhotos(t, o, writeFolder(t, files)).Train, loaderOptions{Batch: 4, Workers: 1})
	defer l.Close()
	if _, err := l.Next(t.Context()); !errors.Is(err, data.ErrBroken) {
		t.Errorf("got %v, want data.ErrBroken", err)
	}
}

func TestCheckPhotos(t *testing.T) {
	isolate(t)
	files := photoFiles(t, 4)
	for _, set := range []string{"folder", "tar"} {
		content := files
		if set == "tar" {
			content = shards(t, files)
		}
		r, err := data.Check(t.Context(), set, []string{writeFolder(t, content)})
		if err != nil {
			t.Fatal(err)
		}
		if r.Status != data.Complete || r.Train.Images != 12 || r.Train.Official != 12 || r.Test.Images != 3 ||
			!slices.Equal(r.Train.PerClass, []int{4, 4, 4}) || len(r.Unreadable) > 0 {
			t.Errorf("%s: got %+v", set, r)
		}
	}
	dir := writeFolder(t, files)
	damage(t, dir, "train/ant/00.jpg", "train/cat/01.png", "val/bee/x.png")
	r, err := data.Check(t.Context(), "folder", []string{dir})
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != data.Broken || r.Train.Images != 10 || r.Test.Images != 2 || len(r.Unreadable) != 3 ||
		!slices.Equal(r.Train.PerClass, []int{3, 4, 3}) {
		t.Errorf("got %+v", r)
	}
	for i, name := range []string{"ant/00.jpg is truncated", "cat/01.png cannot be decoded", "bee/x.png cannot be decoded"} {
		if !strings.Contains(r.Unreadable[i], name) {
			t.Errorf("broken image %d is %q, want %s", i, r.Unreadable[i], name)
		}
	}
	wantFault(t, r.Train.Problem, "2 of 12 images")
}
