package safetensors

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/locus-learn/locus/internal/fault"
)

// sample has every element width, a scalar and an empty tensor, in an order that would misalign if it were kept.
func sample() []Tensor {
	return []Tensor{
		{Name: "mask", DType: BOOL, Shape: []int64{3}, Data: []byte{1, 0, 1}},
		{Name: "half", DType: BF16, Shape: []int64{1, 2}, Data: []byte{1, 2, 3, 4}},
		{Name: "steps", DType: I64, Data: []byte{7, 0, 0, 0, 0, 0, 0, 0}},
		{Name: "none", DType: F32, Shape: []int64{4, 0, 2}},
		{Name: "weight \"<é>\"", DType: F32, Shape: []int64{1, 1}, Data: []byte{0, 0, 128, 63}},
	}
}

func encode(t *testing.T, tensors []Tensor, metadata map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteTo(&b, tensors, metadata); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func decode(data []byte) (*File, error) {
	return newFile("x", bytes.NewReader(data), int64(len(data)))
}

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weights.safetensors")
	metadata := map[string]string{"recipe": "name: a\n# <b>\n", "a": ""}
	if err := Write(path, sample(), metadata); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if diff := cmp.Diff(metadata, f.Metadata()); diff != "" {
		t.Error("metadata:", diff)
	}
	var names []string
	for _, want := range sample() {
		names = append(names, want.Name)
		info, ok := f.Info(want.Name)
		if !ok || info.DType != want.DType || info.Bytes != int64(len(want.Data)) {
			t.Errorf("Info(%q) = %+v, %v", want.Name, info, ok)
		}
		if diff := cmp.Diff(append([]int64{}, want.Shape...), info.Shape); diff != "" {
			t.Errorf("shape of %q: %s", want.Name, diff)
		}
		if info.begin%int64(want.DType.Size()) != 0 {
			t.Errorf("%q begins at %d: not a multiple of its element size %d", want.Name, info.begin, want.DType.Size())
		}
		if data, err := f.Read(want.Name); err != nil || !bytes.Equal(data, want.Data) {
			t.Errorf("Read(%q) = %v, %v; want %v", want.Name, data, err, want.Data)
		}
	}
	if diff := cmp.Diff(names, f.Names()); diff != "" {
		t.Error("order of names:", diff)
	}
	if _, err := f.Read("nobody"); !fault.Is(err) || !strings.Contains(err.Error(), `no tensor "nobody"`) {
		t.Error("Read of a missing tensor:", err)
	}
}

// The bytes themselves, so that a change of layout is seen: names in the order given, data widest first.
func TestWriteToBytes(t *testing.T) {
	got := encode(t, []Tensor{
		{Name: "b", DType: U8, Shape: []int64{1}, Data: []byte{9}},
		{Name: "a", DType: F16, Data: []byte{1, 2}},
	}, map[string]string{"z": "1", "y": "2"})
	header := `{"__metadata__":{"y":"2","z":"1"},` +
		`"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]},"a":{"dtype":"F16","shape":[],"data_offsets":[0,2]}}`
	header += strings.Repeat(" ", 7-(len(header)+7)%8)
	if diff := cmp.Diff(string(raw(header, "\x01\x02\x09")), string(got)); diff != "" {
		t.Error(diff)
	}
}

// raw builds a file from a header and the data behind it.
func raw(header, data string) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

func TestOpenRefuses(t *testing.T) {
	one := func(entry string) string { return `{"w":` + entry + `}` }
	whole := encode(t, sample(), nil)
	tests := []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "it is empty"},
		{"shorter than a length", []byte("abc"), "only 3 bytes"},
		{"cut in the header", whole[:40], "cut short?"},
		{"cut in the data", whole[:len(whole)-1], "cut short?"},
		{"bytes behind the data", append(bytes.Clone(whole), 0), "must be the same"},
		{"header beyond the limit", binary.LittleEndian.AppendUint64(nil, maxHeader+1), "at most 100000000"},
		{"header beyond int64", binary.LittleEndian.AppendUint64(nil, math.MaxUint64), "at most 100000000"},
		{"header beyond the file", binary.LittleEndian.AppendUint64(nil, maxHeader), "where 0 follow"},
		{"no header", raw("", ""), "not a JSON object"},
		{"not JSON", raw("{]", ""), "not a JSON object"},
		{"an array", raw("[]", ""), "not a JSON object"},
		{"two objects", raw("{}{}", ""), "not a JSON object"},
		{"space first", raw(" {}", ""), "not a JSON object"},
		{"not UTF-8", raw("{\"\xff\":{}}", ""), "not a JSON object"},
		{"entry is a number", raw(one(`7`), ""), `tensor "w": json: cannot unmarshal number`},
		{"unknown dtype", raw(one(`{"dtype":"F8","shape":[1],"data_offsets":[0,1]}`), "x"), `its dtype is "F8": must be one of F64`},
		{"no shape", raw(one(`{"dtype":"U8","data_offsets":[0,1]}`), "x"), "its shape is missing"},
		{"negative shape", raw(one(`{"dtype":"U8","shape":[-1,-1],"data_offsets":[0,1]}`), "x"), "no dimension may be negative"},
		{"fractional shape", raw(one(`{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}`), "x"), "cannot unmarshal number 1.5"},
		{"overflowing shape", raw(one(`{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}`), ""), "overflows"},
		{"overflow before a zero", raw(one(`{"dtype":"F64","shape":[9223372036854775807,0],"data_offsets":[0,0]}`), ""), "overflows"},
		{"no offsets", raw(one(`{"dtype":"U8","shape":[1]}`), "x"), "must be a begin and an end"},
		{"three offsets", raw(one(`{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}`), "x"), "must be a begin and an end"},
		{"negative offsets", raw(one(`{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}`), "x"), "must be a begin and an end"},
		{"end before begin", raw(one(`{"dtype":"U8","shape":[1],"data_offsets":[1,0]}`), "x"), "must be a begin and an end"},
		{"size is not the shape's", raw(one(`{"dtype":"F32","shape":[1],"data_offsets":[0,1]}`), "x"), "F32 [1] needs 4"},
		{"out of range", raw(one(`{"dtype":"U8","shape":[2],"data_offsets":[0,2]}`), "x"), "ends at 2, 1 bytes follow"},
		{"gap", raw(one(`{"dtype":"U8","shape":[1],"data_offsets":[1,2]}`), "xx"), "must begin at 0"},
		{"overlap", raw(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, "xxx"),
			`tensor "b" begins at 1: must begin at 2`},
		{"duplicate name", raw(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, "xx"),
			`names "a" twice`},
		{"metadata is no object", raw(`{"__metadata__":[]}`, ""), "where an object must stand"},
		{"metadata is a number", raw(`{"__metadata__":{"k":1}}`, ""), `metadata "k" begins with 1: must be a string`},
		{"metadata is null", raw(`{"__metadata__":{"k":null}}`, ""), "must be a string"},
		{"metadata twice", raw(`{"__metadata__":{"k":"a","k":"b"}}`, ""), `names "k" twice`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "w.safetensors")
			if err := os.WriteFile(path, tt.file, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Open(path)
			if !fault.Is(err) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("Open: %v; want a fault with %q", err, tt.want)
			}
			if text := err.Error(); strings.Contains(text, "\n") || strings.Count(text, path) != 1 {
				t.Errorf("not one line that names the file once: %q", text)
			}
		})
	}
}

// A length field is believed only after it has been held against the file's size.
func TestHeaderClaimCostsNoMemory(t *testing.T) {
	file := binary.LittleEndian.AppendUint64(nil, maxHeader)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := decode(file); err == nil {
		t.Fatal("a header that is not there was accepted")
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > maxHeader/100 {
		t.Errorf("%d bytes were allocated for a file of %d", grown, len(file))
	}
}

func TestOpenNoFile(t *testing.T) {
	for _, path := range []string{filepath.Join(t.TempDir(), "none"), t.TempDir()} {
		if _, err := Open(path); !fault.Is(err) || strings.Count(err.Error(), path) != 1 {
			t.Errorf("Open(%s): %v; want a fault that names it once", path, err)
		}
	}
}
