package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// WriteTo writes a whole file to w. The same tensors and metadata give the same bytes.
//
// The header lists the tensors in the order given. Their bytes follow with the widest element type first, else in
// that order, so that each tensor begins at a multiple of its element size: readers that map the file need this, and
// the format allows no gaps. Load functions are called in the order of the bytes.
//
// Names that the format cannot hold (one twice, "__metadata__", not UTF-8) and data whose length does not fit the shape
// are the program's mistakes, not the user's: they come back as plain errors, before anything is written unless it is
// a Load that brings them to light.
func WriteTo(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	order, err := layout(tensors)
	if err != nil {
		return err
	}
	head, err := header(tensors, order, metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	var buffer []byte
	for _, p := range order {
		data, err := tensors[p.index].bytes(p.size, &buffer)
		if err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	return nil
}

// place says which tensor's bytes come next in a file, and how many they are.
type place struct {
	index int
	size  int64
}

// layout checks all that is known before the first byte is written, and returns the order of the bytes.
func layout(tensors []Tensor) ([]place, error) {
	order := make([]place, len(tensors))
	seen := make(map[string]bool, len(tensors))
	for i := range tensors {
		t := &tensors[i]
		if err := checkName(t.Name, seen); err != nil {
			return nil, err
		}
		size, err := byteSize(t.DType, t.Shape)
		if err != nil {
			return nil, fmt.Errorf("safetensors: tensor %q: %w", t.Name, err)
		}
		if t.Load == nil {
			if _, err := t.bytes(size, nil); err != nil {
				return nil, err
			}
		}
		order[i] = place{index: i, size: size}
	}
	slices.SortStableFunc(order, func(a, b place) int {
		return cmp.Compare(tensors[b.index].DType.Size(), tensors[a.index].DType.Size())
	})
	return order, nil
}

func checkName(name string, seen map[string]bool) error {
	switch {
	case name == metadataKey:
		return fmt.Errorf("safetensors: a tensor is named %q: the format keeps that name for itself", name)
	case !utf8.ValidString(name):
		return fmt.Errorf("safetensors: tensor name %q is not valid UTF-8", name)
	case seen[name]:
		return fmt.Errorf("safetensors: tensor %q is given twice", name)
	}
	seen[name] = true
	return nil
}

// header returns the length field and the JSON, padded with spaces so that the tensors begin at a multiple of eight.
func header(tensors []Tensor, order []place, metadata map[string]string) ([]byte, error) {
	entries := make([]entry, len(tensors))
	var end int64
	for _, p := range order {
		t := &tensors[p.index]
		begin := end
		end += p.size
		// A nil shape would be written as null, which is no scalar to other readers.
		entries[p.index] = entry{t.DType, append([]int64{}, t.Shape...), []int64{begin, end}}
	}

	b := bytes.NewBuffer(make([]byte, 8))
	b.WriteByte('{')
	if len(metadata) > 0 {
		for key, value := range metadata {
			if !utf8.ValidString(key) || !utf8.ValidString(value) {
				return nil, fmt.Errorf("safetensors: metadata %q is not valid UTF-8", key)
			}
		}
		if err := member(b, metadataKey, metadata); err != nil { // json sorts a map's keys
			return nil, err
		}
	}
	for i := range tensors {
		if err := member(b, tensors[i].Name, entries[i]); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}

	length := b.Len() - 8
	if length > maxHeader {
		return nil, fmt.Errorf("safetensors: the header has %d bytes: must be at most %d", length, maxHeader)
	}
	binary.LittleEndian.PutUint64(b.Bytes(), uint64(length))
	return b.Bytes(), nil
}

// member appends one member to the JSON object that b ends in.
func member(b *bytes.Buffer, key string, value any) error {
	if b.Bytes()[b.Len()-1] != '{' {
		b.WriteByte(',')
	}
	name, err := json.Marshal(key)
	if err != nil {
		return err
	}
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	b.Write(name)
	b.WriteByte(':')
	b.Write(text)
	return nil
}
