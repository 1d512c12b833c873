package images

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
)

// photo returns a w × h picture that only seed tells from others.
func photo(w, h, seed int) image.Image {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.SetNRGBA(x, y, color.NRGBA{byte(7*x + 31*seed), byte(5*y + 13*seed), byte(x*y/8 + seed), 255})
		}
	}
	return m
}

// encoded writes a picture as its name says.
func encoded(t testing.TB, name string, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	err := png.Encode(&b, m)
	if isJPEG(name) {
		b.Reset()
		err = jpeg.Encode(&b, m, &jpeg.Options{Quality: 90})
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// photoFiles are the images of a small set: perClass training images of each of three classes, and one to test.
func photoFiles(t testing.TB, perClass int) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for c, class := range []string{"ant", "bee", "cat"} {
		for i := range perClass {
			name := fmt.Sprintf("train/%s/%02d.%s", class, i, []string{"jpg", "png", "JPEG"}[i%3])
			files[name] = encoded(t, name, photo(40+i, 33+2*c, 10*c+i))
		}
		name := "val/" + class + "/x.png"
		files[name] = encoded(t, name, photo(36, 50, 100+c))
	}
	return files
}

func writeFolder(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// entry is one of a tar file.
type entry struct {
	tar.Header
	content []byte
}

func plain(name string, content []byte) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name}, content}
}

func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		e.Size, e.Mode = int64(len(e.content)), 0o644
		if err := w.WriteHeader(&e.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// shards packs a folder's files, its training images in two shards and not in order.
func shards(t testing.TB, files map[string][]byte) map[string][]byte {
	t.Helper()
	parts := map[string][]entry{"train-000.tar": {{Header: tar.Header{Typeflag: tar.TypeDir, Name: "./ant/"}}}}
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range files {
			if !yield(name) {
				return
			}
		}
	})
	slices.Reverse(names)
	for i, name := range names {
		part, rest, _ := strings.Cut(name, "/")
		shard := fmt.Sprintf("%s-%03d.tar", part, i%2)
		if part == valPart {
			shard = "val.tar"
		}
		parts[shard] = append(parts[shard], plain("./"+rest, files[name]))
	}
	out := map[string][]byte{}
	for shard, entries := range parts {
		out[shard] = tarOf(t, append(entries, plain("README.txt", []byte("not an image")), plain("ant/._00.jpg", []byte("junk")))...)
	}
	return out
}

// photoOptions are valid for the small set.
func photoOptions(set string) data.Options {
	o := options(set)
	o.Size, o.Resize, o.Batch = 24, 28, 4
	return o
}

func openPhotos(t testing.TB, o data.Options, dir string) *testSet {
	t.Helper()
	set, err := openSet(o, 1, []string{dir})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// A folder and the shards packed of it are the same set: the same classes, and the same batches in every way of training.
func TestFolderAndTarGiveTheSameBatches(t *testing.T) {
	isolate(t)
	files := photoFiles(t, 5)
	folder, packed := writeFolder(t, files), writeFolder(t, shards(t, files))
	for _, augment := range augments {
		o := photoOptions("folder")
		o.Augment = augment
		a := openPhotos(t, o, folder)
		o.Set = "tar"
		b := openPhotos(t, o, packed)
		if !slices.Equal(a.Classes, []string{"ant", "bee", "cat"}) || !slices.Equal(b.Classes, a.Classes) {
			t.Errorf("classes are %q and %q", a.Classes, b.Classes)
		}
		if a.Train.Len() != 15 || a.Test.Len() != 3 || !a.Own || a.Subset || len(a.Notes) > 0 {
			t.Errorf("got %+v", a)
		}
		lo := loaderOptions{Batch: 4, Workers: 2, Shuffle: true, Seed: 3, Transform: transformOf(o, a.Mean), KeepLast: true}
		if got, want := drain(t, b.Train, lo), drain(t, a.Train, lo); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the batches differ", augment)
		}
	}
}

// What a run sees of files depends on seed and epoch only: not on the workers, and not on where it was interrupted; with
// every augmentation switched on.
func TestPhotosRepeat(t *testing.T) {
	isolate(t)
	dir := writeFolder(t, photoFiles(t, 5))
	o := photoOptions("folder")
	o.Augment = data.AugmentResizedCrop
	o.Jitter = data.JitterOptions{P: 0.8, Brightness: 0.4, Contrast: 0.4, Saturation: 0.4, Hue: 0.1}
	o.RandAugment = data.RandAugmentOptions{Ops: 2, Magnitude: 9}
	o.Erase = data.EraseOptions{P: 0.5, Scale: []float64{0.02, 0.33}, Ratio: []float64{0.3, 3.3}}
	o.Mixup, o.CutMix = 0.2, 1
	set := openPhotos(t, o, dir)
	for _, views := range []int{1, 2} {
		lo := loaderOptions{Batch: 4, Workers: 1, Shuffle: true, Seed: 5, Epoch: 3, Transform: transformOf(o, set.Mean), Views: views}
		want := drain(t, set.Train, lo)
		for workers := range 4 {
			for start := range len(want) {
				lo.Workers, lo.Start = workers, start
				if got := drain(t, set.Train, lo); !reflect.DeepEqual(got, want[start:]) {
					t.Fatalf("%d views, %d workers from batch %d: the batches differ", views, workers, start)
				}
			}
		}
		lo.Start, lo.Epoch = 0, 4
		if got := drain(t, set.Train, lo); bytes.Equal(got[0].Bytes, want[0].Bytes) {
			t.Error("the next epoch gives the same batch")
		}
	}
}

// A set in memory gets the same augmentations, and two views that differ.
func TestViewsOfStoredImages(t *testing.T) {
	images := fakeImages(12, 3, data.Shape{C: 3, H: 32, W: 32})
	transform := Transform{Augment: data.AugmentBarlow, Flip: 0.5, Crop: data.CropOptions{Scale: []float64{0.08, 1}, Ratio: []float64{0.75, 4.0 / 3}}}
	for _, b := range drain(t, images, loaderOptions{Batch: 4, Workers: 2, Views: 2, Transform: transform}) {
		if len(b.Bytes) != 4*images.Shape.Size() || len(b.Second.Bytes) != len(b.Bytes) || bytes.Equal(b.Bytes, b.Second.Bytes) {
			t.Errorf("got views of %d and %d bytes", len(b.Bytes), len(b.Second.Bytes))
		}
	}
	for _, b := range drain(t, images, loaderOptions{Batch: 4, Views: 2}) {
		if !bytes.Equal(b.Bytes, b.Second.Bytes) || !bytes.Equal(b.Bytes[:images.Shape.Size()], images.Image(4*b.Index)) {
			t.Error("without augmentation both views are the image")
		}
	}
}

func TestOpenPhotosRefuses(t *testing.T) {
	isolate(t)
	whole := photoFiles(t, 2)
	without := func(prefix string) map[string][]byte {
		files := map[string][]byte{}
		for name, content := range whole {
			if !strings.HasPrefix(name, prefix) {
				files[name] = content
			}
		}
		return files
	}
	with := func(name string, content []byte) map[string][]byte {
		files := without("\n")
		files[name] = content
		return files
	}
	tars := func(train ...entry) map[string][]byte {
		return map[string][]byte{"train.tar": tarOf(t, train...), "val.tar": tarOf(t, plain("ant/x.png", nil))}
	}
	good := plain("ant/x.png", []byte("x"))
	link := func(flag byte) entry {
		return entry{tar.Header{Typeflag: flag, Name: "ant/y.jpg", Linkname: "/etc/passwd"}, nil}
	}
	packed := shards(t, whole)
	packed["train-000.tar"] = packed["train-000.tar"][:1700]
	for _, tt := range []struct {
		name, set string
		files     map[string][]byte
		want      []string
	}{
		{"no validation", "folder", without("val/"), []string{"it has train but no val: move some images of each class into val/CLASS"}},
		{"shards taken for a folder", "folder", tars(good), []string{"set data.set=tar"}},
		{"a folder taken for shards", "tar", whole, []string{"set data.set=folder"}},
		{"empty class", "folder", with("train/dog/readme.txt", nil), []string{"class dog has no training images"}},
		{"unknown class", "folder", with("val/dog/x.png", nil), []string{"class dog of val", "3 classes of train"}},
		{"parent", "tar", tars(good, plain("../x.png", nil)), []string{"train.tar", `"../x.png" leaves the archive`}},
		{"parent inside", "tar", tars(good, plain("ant/../../x.png", nil)), []string{"leaves the archive"}},
		{"absolute", "tar", tars(good, plain("/etc/x.png", nil)), []string{"leaves the archive"}},
		{"backslash", "tar", tars(good, plain(`ant\..\x.png`, nil)), []string{"leaves the archive"}},
		{"symbolic link", "tar", tars(good, link(tar.TypeSymlink)), []string{"is a link, a device or sparse"}},
		{"hard link", "tar", tars(good, link(tar.TypeLink)), []string{"is a link, a device or sparse"}},
		{"device", "tar", tars(good, link(tar.TypeChar)), []string{"is a link, a device or sparse"}},
		{"part in the shard", "tar", tars(plain("train/ant/x.png", []byte("x"))), []string{"its train holds nothing but train"}},
		{"no images", "tar", tars(plain("ant/x.txt", nil)), []string{"training images of 0 classes"}},
		{"truncated", "tar", packed, []string{"train-000.tar", "truncated"}},
		{"gzip", "tar", map[string][]byte{"train.tar": gzipped(tars(good)["train.tar"]), "val.tar": nil}, []string{"train.tar: is compressed with gzip: unpack it", "uncompressed"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := photoOptions(tt.set)
			o.Batch = 1
			_, err := openSet(o, 1, []string{writeFolder(t, tt.files)})
			wantFault(t, err, tt.want...)
		})
	}
	_, err := openSet(photoOptions("folder"), 1, []string{t.TempDir()})
	if wantFault(t, err, "folder"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v does not wrap fs.ErrNotExist", err)
	}
}

// A relative data.dir is found below --data and $LOCUS_DATA; where it is not, --data may be the set itself.
func TestRelativeDir(t *testing.T) {
	isolate(t)
	home := t.TempDir()
	for name, content := range photoFiles(t, 2) {
		write(t, filepath.Join(home, "mine"), name, content)
	}
	o := photoOptions("folder")
	o.Dir = "mine"
	want := filepath.Join(home, "mine")
	if set := openPhotos(t, o, home); set.Dir != want {
		t.Errorf("with --data: opened %s, want %s", set.Dir, want)
	}
	t.Setenv(data.EnvDir, home)
	set, err := openSet(o, 1, nil)
	if err != nil || set.Dir != want {
		t.Errorf("with %s: opened %v, %v, want %s", data.EnvDir, set, err, want)
	}
	o.Dir = "nowhere"
	_, err = openSet(o, 1, nil)
	wantFault(t, err, `"nowhere"`)
	if set := openPhotos(t, o, want); set.Dir != want {
		t.Errorf("with --data and a data.dir that is nowhere: opened %s, want %s", set.Dir, want)
	}
}

// Limits keep some of every class, and a validation split is taken from the training images.
func TestPhotosAreLimitedAndSplit(t *testing.T) {
	isolate(t)
	o := photoOptions("folder")
	o.Limit, o.TestLimit, o.Validation = 6, 2, 3
	set := openPhotos(t, o, writeFolder(t, photoFiles(t, 5)))
	if set.Train.Len() != 6 || set.Test.Len() != 2 || set.Validation.Len() != 3 {
		t.Fatalf("got %d, %d and %d images", set.Train.Len(), set.Validation.Len(), set.Test.Len())
	}
	if got := slices.Compact(slices.Clone(set.Train.Labels)); len(got) != 3 {
		t.Errorf("the limited training images have classes %v", got)
	}
	seen := map[string]bool{}
	for _, m := range []Images{set.Train, set.Validation} {
		for i := range m.Len() {
			if title := m.photos.title(i); seen[title] {
				t.Errorf("%s is in both parts", title)
			} else {
				seen[title] = true
			}
		}
	}
}

// contentsOf reads archives that stand one behind the other, from front to back; of entries of one name the last counts.
func contentsOf(t *testing.T, input []byte) map[string][]byte {
	all := map[string][]byte{}
	for len(input) > 0 {
		if input[0] == 0 && len(input) >= 512 && bytes.Count(input[:512], []byte{0}) == 512 {
			input = input[512:]
			continue
		}
		rest := bytes.NewReader(input)
		archive := tar.NewReader(rest)
		for {
			h, err := archive.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("an archive that is accepted ends in %v", err)
			}
			content, err := io.ReadAll(archive)
			if err != nil {
				t.Fatal(err)
			}
			if name, keep, _ := checkEntry(h); keep {
				all[name] = content
			}
		}
		if rest.Len() == 0 || len(bytes.Trim(input[len(input)-rest.Len():], "\x00")) == 0 {
			break
		}
		input = input[len(input)-rest.Len():]
	}
	return all
}

// FuzzTar holds that what is accepted of an archive is what reading it from front to back gives, and lies in the archive.
func FuzzTar(f *testing.F) {
	f.Add(tarOf(f, plain("ant/x.png", []byte("abc")), plain("bee/y.jpg", []byte("defg"))))
	f.Add(tarOf(f, plain("../x.png", nil)))
	f.Add(tarOf(f, entry{tar.Header{Typeflag: tar.TypeReg, Name: "a/" + strings.Repeat("n", 200) + ".png"}, []byte("x")}))
	f.Add(tarOf(f, plain("ant/x.png", []byte("abc")))[:600])
	f.Add(slices.Concat(tarOf(f, plain("ant/x.png", []byte("abc"))), tarOf(f, plain("ant/x.png", []byte("de")), plain("bee/x.png", nil))))
	f.Add(tarOf(f, plain("x.png", []byte("abc")), plain("x.cls", []byte("7\n")), plain("y.cls", []byte("x"))))
	f.Fuzz(func(t *testing.T, input []byte) {
		var p photos
		files, err := p.index(bytes.NewReader(input))
		if err != nil {
			if !fault.Is(err) || files != nil {
				t.Fatalf("got %v with error %v", files, err)
			}
			return
		}
		last := contentsOf(t, input)
		for _, got := range files {
			if !filepath.IsLocal(got.name) || got.class == "" && strings.Count(got.name, "/") < 1 || !isImage(got.name) {
				t.Fatalf("entry %q is accepted", got.name)
			}
			want, has := last[got.name]
			if !has {
				t.Fatalf("%q is not in the archive", got.name)
			}
			if end := got.offset + got.size; got.size < 0 || end > int64(len(input)) || !bytes.Equal(input[got.offset:end], want) {
				t.Fatalf("%q is at %d with %d bytes, which are not its contents", got.name, got.offset, got.size)
			}
		}
	})
}

// Of a folder without val, and of shards without val*.tar, test images are split off on request, class by class. Without it,
// and of one that has both, the request is refused or explained.
func TestTestImagesAreSplitOff(t *testing.T) {
	isolate(t)
	files := map[string][]byte{}
	for name, content := range photoFiles(t, 10) {
		if strings.HasPrefix(name, "train/") {
			files[name] = content
		}
	}
	dir := writeFolder(t, files)
	o := photoOptions("folder")
	if _, err := data.Open(o, 1, []string{dir}); err == nil || !strings.Contains(err.Error(), "data.test=0.1") {
		t.Errorf("without val: %v", err)
	}
	o.Test = 0.2
	s, err := data.Open(o, 1, []string{dir})
	if err != nil {
		t.Fatal(err)
	}
	whole := len(files)
	if test, train := s.Part(data.Test).Len(), s.Part(data.Train).Len(); test != data.Portion(0.2).Count(whole) || test+train != whole {
		t.Errorf("%d images to test on and %d to train on, of %d", test, train, whole)
	}
	seen := map[string]bool{}
	for _, part := range []data.Part{data.Train, data.Test} {
		samples := s.Part(part)
		for i := range samples.Len() {
			title := samples.(data.Titled).Title(i)
			if seen[title] {
				t.Errorf("%s is in both parts", title)
			}
			seen[title] = true
		}
	}
	both := writeFolder(t, photoFiles(t, 10))
	if _, err := data.Open(o, 1, []string{both}); err == nil || !strings.Contains(err.Error(), "data.test is 0.2: must be 0") {
		t.Errorf("with val: %v", err)
	}
}
