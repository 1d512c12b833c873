package dist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/locus-learn/locus/torch"
)

// Parcel is what one rank sends another: tensors in their own type and layout, and some bytes.
type Parcel struct {
	Head    []byte         // at most MostHead
	Tensors []torch.Tensor // at most MostTensors; no tensor in a place stays none
}

// Bounds of what a rank accepts before it takes memory.
const (
	MostHead    = 1 << 20
	MostTensors = 16
	mostDims    = 8
	mostBytes   = 1 << 36 // of one tensor
)

// Free releases the tensors.
func (p Parcel) Free() {
	for _, t := range p.Tensors {
		t.Free()
	}
}

// form is what a receiver must know of a tensor.
type form struct {
	none    bool
	dtype   torch.DType
	sizes   []int64
	strides []int64
}

// A parcel travels as a preamble of a magic number and the header's length, the header, and the elements of each tensor.
const (
	magic        = 0x3153434c // "LCS1"
	preambleSize = 8
	noTensor     = 0xff
)

// WireBytes returns what the parcel takes on the network.
func (p Parcel) WireBytes() int64 {
	n := int64(preambleSize + 1 + len(p.Head))
	for _, t := range p.Tensors {
		n++
		if t.Defined() {
			n += 1 + 16*int64(len(t.Shape())) + t.Bytes()
		}
	}
	return n
}

// encodeHeader writes the forms and the head.
func encodeHeader(forms []form, head []byte) ([]byte, error) {
	if len(forms) > MostTensors || len(head) > MostHead {
		return nil, fmt.Errorf("dist: a parcel of %d tensors and a head of %d bytes: must be at most %d and %d", len(forms), len(head), MostTensors, MostHead)
	}
	out := []byte{byte(len(forms))}
	for _, f := range forms {
		if f.none {
			out = append(out, noTensor)
			continue
		}
		if err := f.check(); err != nil {
			return nil, err
		}
		out = append(out, byte(f.dtype), byte(len(f.sizes)))
		for _, v := range slices.Concat(f.sizes, f.strides) {
			out = binary.LittleEndian.AppendUint64(out, uint64(v))
		}
	}
	return append(out, head...), nil
}

var errHeader = errors.New("dist: what arrived is no parcel of Locus's")

// decodeHeader reads what encodeHeader has written. It accepts nothing else.
func decodeHeader(b []byte) (forms []form, head []byte, err error) {
	if len(b) == 0 || b[0] > MostTensors {
		return nil, nil, errHeader
	}
	forms, b = make([]form, b[0]), b[1:]
	for i := range forms {
		if forms[i], b, err = decodeForm(b); err != nil {
			return nil, nil, err
		}
	}
	if len(b) > MostHead {
		return nil, nil, errHeader
	}
	return forms, slices.Clone(b), nil
}

func decodeForm(b []byte) (f form, rest []byte, err error) {
	if len(b) > 0 && b[0] == noTensor {
		return form{none: true}, b[1:], nil
	}
	if len(b) < 2 || b[0] > byte(torch.Bool) || b[1] > mostDims {
		return f, nil, errHeader
	}
	f.dtype = torch.DType(b[0])
	n := int(b[1])
	b = b[2:]
	if len(b) < 16*n {
		return f, nil, errHeader
	}
	for i := range 2 * n {
		v := int64(binary.LittleEndian.Uint64(b[8*i:]))
		if i < n {
			f.sizes = append(f.sizes, v)
		} else {
			f.strides = append(f.strides, v)
		}
	}
	return f, b[16*n:], f.check()
}

// elements returns the product of the sizes, -1 if that is out of bounds.
func (f form) elements() int64 {
	n := int64(1)
	for _, s := range f.sizes {
		if s < 0 || s > mostBytes {
			return -1
		}
		if n *= s; n > mostBytes {
			return -1
		}
	}
	return n
}

// check returns an error unless the tensor is of a size that is accepted and its elements lie without gaps.
func (f form) check() error {
	n := f.elements()
	if n < 0 || n*int64(f.dtype.Size()) > mostBytes || len(f.sizes) > mostDims || len(f.sizes) != len(f.strides) {
		return errHeader
	}
	if n == 0 {
		return nil
	}
	order := make([]int, 0, len(f.sizes))
	for i, s := range f.sizes {
		if f.strides[i] < 0 || f.strides[i] > mostBytes {
			return errHeader
		}
		if s > 1 { // the stride of the others is never used
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return int(f.strides[a] - f.strides[b]) })
	next := int64(1)
	for _, i := range order {
		if f.strides[i] != next {
			return errHeader
		}
		next *= f.sizes[i]
	}
	return nil
}

// preamble announces a header of n bytes.
func preamble(n int) []byte {
	b := binary.LittleEndian.AppendUint32(nil, magic)
	return binary.LittleEndian.AppendUint32(b, uint32(n))
}

// headerLength reads a preamble.
func headerLength(b []byte) (int, error) {
	const most = MostHead + 1 + MostTensors*(2+16*mostDims)
	if len(b) != preambleSize || binary.LittleEndian.Uint32(b) != magic {
		return 0, errHeader
	}
	n := binary.LittleEndian.Uint32(b[4:])
	if n == 0 || n > most {
		return 0, errHeader
	}
	return int(n), nil
}
