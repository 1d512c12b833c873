package torchfile

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/safetensors"
)

// Tensors of every type and layout have the values that PyTorch has saved, wherever the state dict stands in the file.
func TestReadsWhatPyTorchSaves(t *testing.T) {
	var golden map[string]struct {
		Shape  []int64
		Values []float64
	}
	text, err := os.ReadFile("testdata/plain.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	for path, at := range map[string]string{"testdata/plain.pth": "", "testdata/nested.pth": "model"} {
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if f.At() != at || len(f.Names()) != len(golden) {
			t.Errorf("%s: %d tensors in %q, want %d in %q", path, len(f.Names()), f.At(), len(golden), at)
		}
		for name, want := range golden {
			info, ok := f.Info(name)
			if !ok || !slices.Equal(info.Shape, want.Shape) {
				t.Errorf("%s: %s is %v, want %v", path, name, info.Shape, want.Shape)
				continue
			}
			raw, err := f.Read(name)
			if err != nil {
				t.Error(err)
				continue
			}
			if got := values(info.DType, raw); !slices.Equal(got, want.Values) {
				t.Errorf("%s: %s has %v, want %v", path, name, got, want.Values)
			}
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func values(d safetensors.DType, raw []byte) []float64 {
	out := []float64{}
	for ; len(raw) > 0; raw = raw[d.Size():] {
		var v float64
		switch d {
		case safetensors.F32:
			v = float64(math.Float32frombits(binary.LittleEndian.Uint32(raw)))
		case safetensors.BF16:
			v = float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(raw)) << 16))
		case safetensors.F16:
			v = half(binary.LittleEndian.Uint16(raw))
		case safetensors.I64:
			v = float64(int64(binary.LittleEndian.Uint64(raw)))
		case safetensors.I32:
			v = float64(int32(binary.LittleEndian.Uint32(raw)))
		}
		out = append(out, v)
	}
	return out
}

// half is a normal number of float16.
func half(bits uint16) float64 {
	v := math.Ldexp(1+float64(bits&0x3ff)/1024, int(bits>>10&0x1f)-15)
	if bits&0x8000 != 0 {
		return -v
	}
	return v
}

func TestRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	plain, err := os.ReadFile("testdata/plain.pth")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"testdata/evil.pth":                           "system", // what it asks for is named, and not done
		"testdata/legacy.pth":                         "older than 1.6",
		"testdata/script.pt":                          "TorchScript",
		"testdata/none.pth":                           "without tensors",
		"testdata/make.py":                            "no state dict",
		"testdata/missing.pth":                        "missing.pth",
		write("cut.pth", plain[:len(plain)/2]):        "no state dict",
		write("empty.pth", nil):                       "no state dict",
		write("zip.pth", archive(t, "x/readme", nil)): "without data.pkl",
		write("packed.pth", packed(t)):                "compressed",
		write("stack.pth", archive(t, "x/data.pkl", []byte("\x80\x02R."))): "cut short",
	} {
		_, err := Open(path)
		if !fault.Is(err) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	if _, err := os.Stat("/tmp/locus-was-here"); err == nil {
		t.Error("the pickle was run")
	}
}

// archive is a zip archive with one stored entry.
func archive(t testing.TB, name string, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// packed has a pickle of many megabytes in a few bytes.
func packed(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("x/data.pkl")
	if err == nil {
		_, err = w.Write(make([]byte, 1<<20))
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Whatever a pickle says: no panic, and what is accepted stays inside its storages.
func FuzzPickle(f *testing.F) {
	for _, name := range []string{"plain", "nested", "evil", "none"} {
		z, err := zip.OpenReader("testdata/" + name + ".pth")
		if err != nil {
			f.Fatal(err)
		}
		for _, e := range z.File {
			if strings.HasSuffix(e.Name, "/data.pkl") {
				text, err := content(e, 1<<20)
				if err != nil {
					f.Fatal(err)
				}
				f.Add(text)
			}
		}
		z.Close()
	}
	storage := make([]byte, 64)
	f.Fuzz(func(t *testing.T, text []byte) {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for name, c := range map[string][]byte{"x/data.pkl": text, "x/data/0": storage, "x/data/1": storage[:7]} {
			if w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store}); err == nil {
				w.Write(c)
			}
		}
		z.Close()
		file, err := read(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			return
		}
		for _, name := range file.Names() {
			info, _ := file.Info(name)
			raw, err := file.Read(name)
			if err != nil || int64(len(raw)) != info.Bytes || info.Bytes > 64 {
				t.Errorf("%q %+v: %d bytes, %v", name, info, len(raw), err)
			}
		}
	})
}
