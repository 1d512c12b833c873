// Package safetensors reads and writes the safetensors format: eight bytes with the header's length (little-endian),
// a JSON header that names every tensor's type, shape and place, and the tensors' bytes without a gap.
//
// The reader takes nothing on trust: a header that claims more than the file holds is refused before memory is set
// aside for it. The writer replaces a file as a whole or not at all.
package safetensors

import (
	"fmt"
	"math"
	"strings"
)

// metadataKey is the one name in a header that does not stand for a tensor.
const metadataKey = "__metadata__"

// maxHeader is the longest header, in bytes, that the format's reference implementation reads.
const maxHeader = 100_000_000

// DType names the type of a tensor's elements as the format spells it.
type DType string

// The element types that Locus stores.
const (
	F64  DType = "F64"
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
	I64  DType = "I64"
	I32  DType = "I32"
	I16  DType = "I16"
	I8   DType = "I8"
	U8   DType = "U8"
	BOOL DType = "BOOL"
)

var dtypes = []DType{F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL}

// Size returns the bytes of one element, or 0 for a type that is none of the constants above.
func (d DType) Size() int {
	switch d {
	case F64, I64:
		return 8
	case F32, I32:
		return 4
	case F16, BF16, I16:
		return 2
	case I8, U8, BOOL:
		return 1
	}
	return 0
}

// byteSize returns the bytes that a tensor of this type and shape fills. An empty shape is a scalar.
func byteSize(d DType, shape []int64) (int64, error) {
	size := int64(d.Size())
	if size == 0 {
		return 0, fmt.Errorf("its dtype is %q: must be one of %s", d, joined(dtypes))
	}
	for _, n := range shape {
		if n < 0 {
			return 0, fmt.Errorf("its shape is %v: no dimension may be negative", shape)
		}
		if n > 0 && size > math.MaxInt64/n {
			return 0, fmt.Errorf("its shape %v overflows: a tensor may have at most 2^63-1 bytes", shape)
		}
		size *= n
	}
	return size, nil
}

func joined(types []DType) string {
	names := make([]string, len(types))
	for i, d := range types {
		names[i] = string(d)
	}
	return strings.Join(names, ", ")
}

// Tensor is one array to be written.
type Tensor struct {
	Name  string  // unique in its file, valid UTF-8
	DType DType   // type of the elements
	Shape []int64 // outermost dimension first; empty for a scalar

	// Data holds the elements, little-endian and contiguous in row-major order. The writer only reads it.
	Data []byte

	// Load, where it is not nil, stands in for Data: it is called once, when the tensor's turn to be written has come,
	// so that a checkpoint never holds a second copy of all weights. The writer only reads the returned slice, and is
	// done with it before it calls the next Load. The buffer is one for all tensors of a file: whoever must copy
	// elements does so there, and may replace it by a larger one.
	Load func(buffer *[]byte) ([]byte, error)
}

// bytes returns the tensor's elements and makes sure that there are as many as the header has announced.
func (t *Tensor) bytes(want int64, buffer *[]byte) ([]byte, error) {
	data := t.Data
	if t.Load != nil {
		var err error
		if data, err = t.Load(buffer); err != nil {
			return nil, fmt.Errorf("safetensors: tensor %q: %w", t.Name, err)
		}
	}
	if int64(len(data)) != want {
		return nil, fmt.Errorf("safetensors: tensor %q has %d bytes: %s %v needs %d", t.Name, len(data), t.DType, t.Shape, want)
	}
	return data, nil
}

// Info describes a tensor of an open file.
type Info struct {
	DType DType
	Shape []int64 // outermost dimension first; empty for a scalar; belongs to the file, not to be changed
	Bytes int64   // product of Shape times DType.Size()

	begin int64 // offset of the first byte, counted from the end of the header
}
