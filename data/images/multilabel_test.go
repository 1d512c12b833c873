package images

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
)

// tableOf returns the parts that a table says of images.
func tableOf(t *testing.T, train, val string, change func(*data.Options)) (data.Source, error) {
	t.Helper()
	isolate(t)
	files := map[string][]byte{"train.csv": []byte(train), "val.csv": []byte(val)}
	for i := range 8 {
		files[fmt.Sprintf("%c.png", 'a'+i)] = encoded(t, "x.png", photo(30+i, 30, i))
	}
	o := photoOptions("csv")
	o.Batch = 1
	if change != nil {
		change(&o)
	}
	return data.Open(o, 1, []string{writeFolder(t, files)})
}

// The forms in which tables name several classes are one set: names between separators, and columns of zeros and ones.
func TestTablesOfSeveralClasses(t *testing.T) {
	want := [][]uint16{{0, 1}, {}, {2}, {0, 1, 2}}
	for name, c := range map[string]struct{ train, val string }{
		"semicolons":      {"path,labels\na.png,cat;dog\nb.png,\nc.png,fox\nd.png,fox; dog ;cat;dog;\n", "path,labels\ne.png,dog\n"},
		"bars":            {"path,labels\na.png,cat|dog\nb.png,\nc.png,fox\nd.png,cat|dog|fox\n", "path,labels\ne.png,dog\n"},
		"commas":          {"path,labels\na.png,\"cat, dog\"\nb.png,\"\"\nc.png,fox\nd.png,\"cat,dog,fox\"\n", "path,labels\ne.png,dog\n"},
		"columns":         {"path,cat,dog,fox\na.png,1,1,0\nb.png,0,0,0\nc.png,0,0,1\nd.png,1,1,1\n", "path,fox,dog,cat\ne.png,0,1,0\n"},
		"other spellings": {"\ufeffpath,cat,dog,fox\r\na.png,1.0,1,0\r\nb.png,False,0.0,false\r\nc.png, 0,0 ,True\r\nd.png,true,1,1\r\n", "path,cat,dog,fox\ne.png,0,1,0\n"},
		"one of each":     {"path,cat,dog,fox\na.png,1,1,0\nb.png,0,0,0\nc.png,0,0,1\nd.png,1,1,1\n", "path,labels\ne.png,dog\n"},
	} {
		s, err := tableOf(t, c.train, c.val, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		info := s.Info()
		if !info.MultiLabel || !slices.Equal(info.Classes, []string{"cat", "dog", "fox"}) || !slices.Equal(info.Counts, []int{2, 2, 2}) || info.Samples != 4 {
			t.Errorf("%s: %+v", name, info)
		}
		train := s.Part(data.Train).(data.MultiLabelled)
		for i, classes := range want {
			if got := train.Classes(i); !slices.Equal(got, classes) {
				t.Errorf("%s: image %d has %v, want %v", name, i, got, classes)
			}
		}
		b := next(t, s.Part(data.Test))
		if !slices.Equal(b.Has, []byte{0, 1, 0}) || len(b.Labels) != 0 || b.N != 1 {
			t.Errorf("%s: the test batch has %v and labels %v", name, b.Has, b.Labels)
		}
	}
}

// next returns the only batch of some samples.
func next(t *testing.T, s data.Samples) data.Batch {
	t.Helper()
	batches := s.Batches(data.BatchOptions{Batch: 64, Workers: 1, KeepLast: true})
	t.Cleanup(batches.Close)
	b, err := batches.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Columns keep their order, which is that of the labels.
func TestColumnsKeepTheirOrder(t *testing.T) {
	s, err := tableOf(t, "path,zebra,ape\na.png,1,0\nb.png,0,1\n", "path,zebra,ape\nc.png,1,1\n", nil)
	if err != nil || !slices.Equal(s.Info().Classes, []string{"zebra", "ape"}) {
		t.Fatalf("%v, %v", s, err)
	}
	if got := next(t, s.Part(data.Train)).Has; !slices.Equal(got, []byte{1, 0, 0, 1}) {
		t.Errorf("got %v", got)
	}
}

func TestTablesOfSeveralClassesThatCannotBeRead(t *testing.T) {
	const val = "path,labels\ne.png,cat\n"
	for _, c := range []struct{ train, val, want string }{
		{"path\na.png\n", val, "begins with \"path\": must begin with the line path,label for one class"},
		{"file,labels\na.png,cat\n", val, "begins with \"file,labels\""},
		{"path,cat,cat\na.png,1,0\n", val, "must name each class once"},
		{"path,cat,\na.png,1,0\n", val, "must name each class once"},
		{"path,cat,dog\na.png,1\n", val, "line 2 has 2 values: must have 3"},
		{"path,cat,dog\na.png,1,2\n", val, "line 2 has \"2\" for dog: must be 0 or 1"},
		{"path,cat,dog\na.png,1,\n", val, "line 2 has \"\" for dog: must be 0 or 1"},
		{"path,cat,dog\na.png,-1,1\n", val, "line 2 has \"-1\" for cat: must be 0 or 1"},
		{"path,class\na.png,cat\n", val, "line 2 has \"cat\" for class: must be 0 or 1; a table that names classes begins with path,label"},
		{"path,labels\na.png,cat;dog\nb.png,cat|dog\n", val, "line 3 has '|' between labels in \"cat|dog\", and lines before it ';': must have one"},
		{"path,labels\na.png,cat dog\nb.png,cat\n", val, "line 2 has the labels \"cat dog\", and no line has one of ;|,"},
		{"path,labels\na.png,cat,dog\n", val, "line 2 has 3 values: must have 2, path and labels"},
		{"path,labels\na.png,cat\na.png,dog\n", val, "line 3 names a.png, as line 2 does"},
		{"path,labels\n../a.png,cat\n", val, "must be a path within the folder"},
		{"path,labels\na.png,cat;dog\n", "path,label\ne.png,cat\n", "any number of classes in train and one class in val"},
		{"path,labels\na.png,cat;dog\n", "path,labels\ne.png,fox\n", "class fox of val is not one of the 2 classes of train"},
		{"path,cat,dog\na.png,1,0\n", "path,cat\ne.png,1\n", "val has no column for class dog"},
		{"path,labels\na.png,\n", val, "0 classes"},
	} {
		_, err := tableOf(t, c.train, c.val, nil)
		if !fault.Is(err) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q, %q: %v, want %q", c.train, c.val, err, c.want)
		}
	}
	const good = "path,labels\na.png,cat;dog\nb.png,dog\nc.png,\n"
	for key, change := range map[string]func(*data.Options){
		"data.balanced is true":                 func(o *data.Options) { o.Balanced = true },
		"data.mixup is 0.2 and data.cutmix 0":   func(o *data.Options) { o.Mixup = 0.2 },
		"data.mixup is 0 and data.cutmix 1: bo": func(o *data.Options) { o.CutMix = 1 },
	} {
		if _, err := tableOf(t, good, val, change); !fault.Is(err) || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// What looks like several labels in a table of one class is told, and stays one class.
func TestJoinedLabelsAreTold(t *testing.T) {
	s, err := tableOf(t, "path,label\na.png,cat;dog\nb.png,cat\n", "path,label\nc.png,cat\n", nil)
	if err != nil || s.Info().MultiLabel || len(s.Info().Classes) != 2 {
		t.Fatalf("%v", err)
	}
	if !slices.ContainsFunc(s.Info().Notes, func(n string) bool {
		return strings.Contains(n, `1 labels have ; or | in them, such as "cat;dog"`) && strings.Contains(n, "path,labels")
	}) {
		t.Errorf("notes %q", s.Info().Notes)
	}
}

// A batch has the classes of its images in whatever order they come, also where a broken one is replaced; a fingerprint differs
// where a single label does; a check counts the images that have each class.
func TestSeveralClassesInBatches(t *testing.T) {
	const train = "path,labels\na.png,x;y\nb.png,y\nc.png,\nd.png,z;x\ne.png,z\nf.png,x;y;z\n"
	const val = "path,labels\ng.png,x\nh.png,\n"
	s, err := tableOf(t, train, val, nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := s.Info().Dir
	if err := os.WriteFile(filepath.Join(dir, "b.png"), []byte("no image"), 0o644); err != nil {
		t.Fatal(err)
	}
	samples := s.Part(data.Train)
	batches := samples.Batches(data.BatchOptions{Batch: 2, Workers: 2, Shuffle: true, Seed: 3})
	defer batches.Close()
	for {
		b, err := batches.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for i, place := range b.Places {
			want := make([]byte, 3)
			for _, class := range samples.(data.MultiLabelled).Classes(place) {
				want[class] = 1
			}
			if place == 1 || !slices.Equal(b.Has[3*i:3*i+3], want) {
				t.Errorf("image %d has %v, want %v", place, b.Has[3*i:3*i+3], want)
			}
		}
	}
	r, err := data.Check(t.Context(), "csv", []string{dir})
	if err != nil || !r.MultiLabel || !slices.Equal(r.Train.PerClass, []int{3, 2, 3}) || r.Train.Images != 5 || r.Train.Without != 1 || r.Test.Without != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	before := data.FingerprintOf(s)
	if err := os.WriteFile(filepath.Join(dir, "train.csv"), []byte(strings.Replace(train, "e.png,z", "e.png,y;z", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	again, err := data.Open(photoOptions("csv"), 1, []string{dir})
	if err != nil {
		t.Fatal(err)
	}
	if differs := data.FingerprintOf(again).Differ(before); differs != "training samples" {
		t.Errorf("another label differs in %q", differs)
	}
}

// Samples held out keep the shares of classes, the same ones for one seed.
func TestSeveralClassesAreStratified(t *testing.T) {
	var train strings.Builder
	train.WriteString("path,labels\n")
	for i := range 120 {
		labels := []string{}
		for class, every := range map[string]int{"often": 2, "seldom": 10, "rare": 30} {
			if i%every == 0 {
				labels = append(labels, class)
			}
		}
		slices.Sort(labels)
		fmt.Fprintf(&train, "%03d.png,%s\n", i, strings.Join(labels, ";"))
	}
	open := func() data.Source {
		s, err := tableOf(t, train.String(), "path,labels\na.png,rare\n", func(o *data.Options) { o.Validation, o.Stratify = 0.25, true })
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	held := s.Part(data.Validation)
	counts := make([]int, 3)
	for i := range held.Len() {
		for _, class := range held.(data.MultiLabelled).Classes(i) {
			counts[class]++
		}
	}
	if want := []int{15, 1, 3}; held.Len() != 30 || !slices.Equal(counts, want) {
		t.Errorf("%d images with %v of the classes, want 30 with %v", held.Len(), counts, want)
	}
	if !slices.Equal(s.Info().Counts, []int{45, 3, 9}) {
		t.Errorf("the rest has %v", s.Info().Counts)
	}
	if other := open().Part(data.Validation); !reflect.DeepEqual(other.(Images).Sets, held.(Images).Sets) {
		t.Error("another time, other samples are held out")
	}
}

// A folder in which images lie in that of each of their classes, as links, as hard links or as copies, is the set that a table
// of them is.
func TestFoldersOfSeveralClasses(t *testing.T) {
	isolate(t)
	one, two := encoded(t, "x.png", photo(40, 36, 1)), encoded(t, "x.png", photo(36, 44, 2))
	dir := writeFolder(t, map[string][]byte{
		"train/cat/deep/1.png": one, "train/dog/deep/1.png": one, "train/fox/2.png": two, "train/dog/3.png": two, "val/fox/1.png": one, "val/cat/1.png": one,
		"train.csv": []byte("path,labels\ntrain/cat/deep/1.png,cat;dog\ntrain/dog/3.png,cat;dog;fox\ntrain/fox/2.png,fox;dog\n"),
		"val.csv":   []byte("path,labels\nval/cat/1.png,cat;fox\n"),
	})
	in := func(name string) string { return filepath.Join(dir, "train", filepath.FromSlash(name)) }
	for _, err := range []error{
		os.Symlink("../dog/3.png", in("fox/3.png")), os.Link(in("dog/3.png"), in("cat/3.png")), os.Link(in("fox/2.png"), in("dog/2.png")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	open := func(set string) data.Source {
		o := photoOptions(set)
		o.Batch = 1
		s, err := data.Open(o, 1, []string{dir})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	folder, table := open("multi-folder"), open("csv")
	if !slices.Equal(folder.Info().Classes, table.Info().Classes) || !slices.Equal(folder.Info().Counts, []int{2, 3, 2}) || !folder.Info().MultiLabel {
		t.Errorf("%+v, want %+v", folder.Info(), table.Info())
	}
	order := func(s data.Source, part data.Part) map[string]string { // pixels to classes
		b := next(t, s.Part(part))
		all := map[string]string{}
		for i := range b.N {
			size := b.Shape.Size()
			all[string(b.Bytes[i*size:(i+1)*size])+string(b.Has[3*i:3*i+3])] = string(b.Has[3*i : 3*i+3])
		}
		return all
	}
	for _, part := range []data.Part{data.Train, data.Test} {
		if got, want := order(folder, part), order(table, part); !reflect.DeepEqual(got, want) || folder.Part(part).Len() != table.Part(part).Len() {
			t.Errorf("%s: other images or classes than in the table", part)
		}
	}
	if err := os.WriteFile(in("fox/deep.png"), two, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in("cat/deep.png"), one, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := data.Open(photoOptions("multi-folder"), 1, []string{dir})
	if !fault.Is(err) || !strings.Contains(err.Error(), "cat/deep.png and fox/deep.png have one name and are not the same image") {
		t.Errorf("got %v", err)
	}
}
