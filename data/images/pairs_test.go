package images

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
)

// pair is an image with its label as webdataset packs them.
func pair(t testing.TB, key string, label int) []entry {
	name := key + ".jpg"
	return []entry{plain(name, encoded(t, name, photo(40, 30, label))), plain(key+".cls", fmt.Appendf(nil, "%d\n", label)), plain(key+".json", []byte("{}"))}
}

// Labels are numbers, and classes stand in their order, not in that of their digits. Keys may repeat from shard to shard.
func TestShardsOfPairs(t *testing.T) {
	isolate(t)
	dir := writeFolder(t, map[string][]byte{
		"train-0.tar": tarOf(t, slices.Concat(pair(t, "000", 10), pair(t, "001", 2), []entry{plain("002.jpg", nil)})...),
		"train-1.tar": tarOf(t, slices.Concat(pair(t, "000", 2), pair(t, "a/b.c", 0))...),
		"val.tar":     tarOf(t, slices.Concat(pair(t, "7", 2), pair(t, "8", 10))...),
	})
	s := openPhotos(t, photoOptions("tar"), dir)
	if !slices.Equal(s.Classes, []string{"0", "2", "10"}) || s.Train.Len() != 4 || s.Test.Len() != 2 {
		t.Fatalf("classes %q, %d and %d images", s.Classes, s.Train.Len(), s.Test.Len())
	}
	var got []string
	for i := range s.Train.Len() {
		got = append(got, fmt.Sprintf("%s is %d", filepath.Base(s.Train.photos.title(i)), s.Train.Labels[i]))
	}
	want := "train-0.tar: 000.jpg is 2; train-0.tar: 001.jpg is 1; train-1.tar: 000.jpg is 1; b.c.jpg is 0"
	if got := strings.Join(got, "; "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	notes := strings.Join(s.Notes, "; ")
	for _, want := range []string{"not named as images (such as 000.json)", "1 image without a label (002.jpg)"} {
		if !strings.Contains(notes, want) {
			t.Errorf("no %q in %q", want, notes)
		}
	}
	if batches := drain(t, s.Train, loaderOptions{Batch: 4}); len(batches) != 1 || !slices.Equal(batches[0].Labels, []int64{2, 1, 1, 0}) {
		t.Errorf("got %v", batches)
	}
	for name, c := range map[string]struct {
		entries []entry
		want    string
	}{
		"a word":    {[]entry{plain("x.cls", []byte("cat"))}, `entry "x.cls" is "cat": must be a whole number from 0 to 65535`},
		"negative":  {[]entry{plain("x.cls", []byte("-1"))}, `is "-1": must be a whole number`},
		"too large": {[]entry{plain("x.cls", []byte("65536"))}, `is "65536": must be`},
		"long":      {[]entry{plain("x.cls", make([]byte, 100))}, "has 100 bytes"},
		"mixed":     {[]entry{plain("ant/x.jpg", encoded(t, "x.jpg", photo(40, 30, 1)))}, "has ant/x.jpg, unlike the shards before it"},
	} {
		write := filepath.Join(dir, "train-2.tar")
		if err := os.WriteFile(write, tarOf(t, c.entries...), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := data.Open(photoOptions("tar"), 1, []string{dir}); !fault.Is(err) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "train-2.tar") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// A set that tables name is the same set as the folder that it lies in.
func TestTablesNameImages(t *testing.T) {
	isolate(t)
	files := photoFiles(t, 4)
	tables := map[string]string{"train": "\ufeffpath,label\r\n", "val": "path,label\n"}
	for name := range files {
		part, rest, _ := strings.Cut(name, "/")
		class, _, _ := strings.Cut(rest, "/")
		tables[part] += fmt.Sprintf("%q,%s\n", name, class)
	}
	for part, text := range tables {
		files[part+".csv"] = []byte(text)
	}
	dir := writeFolder(t, files)
	folder, table := openPhotos(t, photoOptions("folder"), dir), openPhotos(t, photoOptions("csv"), dir)
	if !slices.Equal(folder.Classes, table.Classes) || !slices.Equal(folder.Train.Labels, table.Train.Labels) || !slices.Equal(folder.Test.Labels, table.Test.Labels) {
		t.Errorf("classes %q and labels %v, want %q and %v", table.Classes, table.Train.Labels, folder.Classes, folder.Train.Labels)
	}
	o := loaderOptions{Batch: 4, Shuffle: true, Seed: 3}
	a, b := drain(t, folder.Train, o), drain(t, table.Train, o)
	for i := range a {
		if !slices.Equal(a[i].Bytes, b[i].Bytes) {
			t.Errorf("batch %d differs", i)
		}
	}
	if err := os.Remove(filepath.Join(dir, "val.csv")); err != nil {
		t.Fatal(err)
	}
	split := photoOptions("csv")
	split.Test = 3
	if s, err := data.Open(split, 1, []string{dir}); err != nil || s.Part(data.Test).Len() != 3 {
		t.Errorf("without val.csv: %v", err)
	}
	if _, err := data.Open(photoOptions("csv"), 1, []string{dir}); !fault.Is(err) || !strings.Contains(err.Error(), "data.test=0.1") {
		t.Errorf("without val.csv: %v", err)
	}
}

// Blanks around a label make no class of their own, as in tables of several labels.
func TestBlanksAroundALabel(t *testing.T) {
	p := photos{dir: t.TempDir()}
	if err := p.readTable(strings.NewReader("path,label\na.png, cat\nb.png,cat \nc.png,\ta dog\n")); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range p.files {
		got = append(got, f.class)
	}
	if want := []string{"cat", "cat", "a dog"}; !slices.Equal(got, want) {
		t.Errorf("classes %q, want %q", got, want)
	}
}

func TestTablesThatCannotBeRead(t *testing.T) {
	isolate(t)
	for _, c := range []struct{ text, want string }{
		{"", "is empty: must begin with the line path,label"},
		{"a.png,cat\n", `begins with "a.png,cat": must begin with the line path,label`},
		{"path,label\na.png\n", "line 2 has 1 values: must have 2, path and label"},
		{"path,label\na.png,cat\nb.png,cat,dog\n", "line 3 has 3 values"},
		{"path,label\n../a.png,cat\n", "line 2 names ../a.png: must be a path within the folder"},
		{"path,label\n/a.png,cat\n", "line 2 names /a.png"},
		{"path,label\na.txt,cat\n", "line 2 names a.txt: must end in one of .jpg"},
		{"path,label\na.png, \n", `line 2 has the label " ": must name a class`},
		{"path,label\na.png,cat\n\na.png,dog\n", "line 4 names a.png, as line 2 does"},
		{"path,label\n\"a.png,cat\n", "cannot be read"},
	} {
		dir := writeFolder(t, map[string][]byte{"train.csv": []byte(c.text), "val.csv": []byte("path,label\n")})
		if _, err := data.Open(photoOptions("csv"), 1, []string{dir}); !fault.Is(err) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "train.csv") {
			t.Errorf("%q: %v, want %q", c.text, err, c.want)
		}
	}
}

// FuzzTable holds that a table is refused with a fault, or names images within its folder, each once and with a
// class, or any number of them, each once.
func FuzzTable(f *testing.F) {
	f.Add("path,label\na/b.png,cat\nc.jpg,\"a dog\"\n")
	f.Add("path,label\n../a.png,cat\n")
	f.Add("\ufeffpath,label\r\na.webp,1")
	f.Add("path,labels\na.png,cat;dog\nb.png,\n")
	f.Add("path,cat,dog\na.png,1,0\nb.png,0,True\n")
	f.Fuzz(func(t *testing.T, text string) {
		p := photos{dir: t.TempDir()}
		if err := p.readTable(strings.NewReader(text)); err != nil {
			if !fault.Is(err) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("got %v", err)
			}
			return
		}
		seen := map[string]bool{}
		for _, f := range p.files {
			if !filepath.IsLocal(f.name) || !isImage(f.name) || p.many == (f.class != "") || !p.many && f.all != nil || seen[f.name] {
				t.Fatalf("%+v is accepted", f)
			}
			seen[f.name] = true
			for i, class := range f.all {
				if class == "" || slices.Contains(f.all[:i], class) || p.columns != nil && !slices.Contains(p.columns, class) {
					t.Fatalf("%+v is accepted", f)
				}
			}
		}
	})
}
