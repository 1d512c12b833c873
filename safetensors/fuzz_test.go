package safetensors

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzOpen holds that no bytes make the reader panic or promise more than they hold, and that whatever it accepts
// comes back the same after it has been written again.
func FuzzOpen(f *testing.F) {
	var b bytes.Buffer
	if err := WriteTo(&b, sample(), map[string]string{"k": "v"}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(raw(`{}`, ""))
	f.Add(raw(`{"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2],"more":{}}}  `, "xy"))
	f.Add(raw(`{"a":{"dtype":"I8","shape":[0],"data_offsets":[0,0]},"b":{"dtype":"F16","shape":[],"data_offsets":[0,2]}}`, "xy"))

	f.Fuzz(func(t *testing.T, data []byte) {
		first, err := decode(data)
		if err != nil {
			return
		}
		tensors, total := readAll(t, first)
		if total > len(data) {
			t.Fatalf("%d bytes of tensors from a file of %d", total, len(data))
		}
		second, err := decode(encode(t, tensors, first.Metadata()))
		if err != nil {
			t.Fatalf("what was read cannot be written and read again: %v", err)
		}
		again, _ := readAll(t, second)
		if diff := cmp.Diff(tensors, again, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(first.Metadata(), second.Metadata()); diff != "" {
			t.Error(diff)
		}
	})
}

func readAll(t *testing.T, f *File) (tensors []Tensor, total int) {
	t.Helper()
	for _, name := range f.Names() {
		info, _ := f.Info(name)
		data, err := f.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		tensors = append(tensors, Tensor{Name: name, DType: info.DType, Shape: info.Shape, Data: data})
		total += len(data)
	}
	return tensors, total
}
