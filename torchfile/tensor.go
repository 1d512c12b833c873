package torchfile

import (
	"errors"
	"fmt"
	"slices"

	"github.com/locus-learn/locus/safetensors"
)

// storage is a list of elements, which tensors look at.
type storage struct {
	dtype safetensors.DType
	key   string // of its entry in the archive
	count int64
}

// storages are the types of elements by the names of PyTorch's classes.
var storages = map[string]safetensors.DType{
	"DoubleStorage": safetensors.F64, "FloatStorage": safetensors.F32, "HalfStorage": safetensors.F16, "BFloat16Storage": safetensors.BF16,
	"LongStorage": safetensors.I64, "IntStorage": safetensors.I32, "ShortStorage": safetensors.I16, "CharStorage": safetensors.I8,
	"ByteStorage": safetensors.U8, "BoolStorage": safetensors.BOOL,
}

// tensor is a view of a storage, in elements.
type tensor struct {
	storage       *storage
	offset        int64
	shape, stride []int64
	count         int64
}

// newStorage is what a persistent id stands for: ('storage', class, key, device, elements).
func newStorage(id any) (*storage, error) {
	parts, ok := id.(tuple)
	if !ok || len(parts) != 5 || parts[0] != "storage" {
		return nil, errors.New("its pickle has a reference that is no storage")
	}
	class, isClass := parts[1].(global)
	dtype, known := storages[class.name]
	key, isKey := parts[2].(string)
	count, isCount := parts[4].(int64)
	if !isClass || class.module != "torch" || !known || !isKey || !isCount || count < 0 {
		return nil, fmt.Errorf("its pickle has a storage of %s.%s: must be one of numbers", class.module, class.name)
	}
	return &storage{dtype, key, count}, nil
}

// newTensor is torch._utils._rebuild_tensor_v2(storage, offset, shape, stride, …).
func newTensor(args tuple) (*tensor, error) {
	if len(args) < 4 {
		return nil, errors.New("its pickle has a tensor with too few parts")
	}
	s, isStorage := args[0].(*storage)
	offset, isOffset := args[1].(int64)
	shape, isShape := numbers(args[2])
	stride, isStride := numbers(args[3])
	if !isStorage || !isOffset || !isShape || !isStride || len(shape) != len(stride) || len(shape) > 16 {
		return nil, errors.New("its pickle has a tensor that is none")
	}
	t := &tensor{s, offset, shape, stride, 1}
	if slices.Contains(shape, 0) {
		return &tensor{storage: s, shape: shape, stride: stride}, notNegative(shape)
	}
	last := offset // the farthest element
	for i, n := range shape {
		if n < 0 || stride[i] < 0 || t.count > s.count/n {
			return nil, fmt.Errorf("its pickle has a tensor %v of a storage of %d elements", shape, s.count)
		}
		t.count *= n
		if n > 1 {
			if stride[i] > s.count {
				return nil, fmt.Errorf("its pickle has a tensor %v with strides %v of a storage of %d elements", shape, stride, s.count)
			}
			last += (n - 1) * stride[i]
		}
	}
	if offset < 0 || last < 0 || last >= s.count {
		return nil, fmt.Errorf("its pickle has a tensor %v at %d that leaves its storage of %d elements", shape, offset, s.count)
	}
	return t, nil
}

func notNegative(shape []int64) error {
	if slices.Min(shape) < 0 {
		return fmt.Errorf("its pickle has a tensor %v", shape)
	}
	return nil
}

func numbers(v any) ([]int64, bool) {
	parts, ok := v.(tuple)
	if !ok {
		return nil, false
	}
	out := make([]int64, len(parts))
	for i, p := range parts {
		if out[i], ok = p.(int64); !ok {
			return nil, false
		}
	}
	return out, true
}

// check wants the archive to have a tensor's storage, as long as the pickle says.
func (f *File) check(t *tensor) error {
	e := f.data[t.storage.key]
	if e == nil {
		return errors.New("its storage is not in the archive")
	}
	size := uint64(t.storage.dtype.Size())
	if uint64(t.storage.count) > e.UncompressedSize64/size {
		return fmt.Errorf("its storage has %d bytes: must have %d elements of %d: cut short?", e.UncompressedSize64, t.storage.count, size)
	}
	return nil
}

// gather reads a tensor in row-major order.
func (f *File) gather(t *tensor) ([]byte, error) {
	if t.count == 0 {
		return nil, nil
	}
	e := f.data[t.storage.key]
	all, err := content(e, e.UncompressedSize64)
	if err != nil {
		return nil, err
	}
	size := int64(t.storage.dtype.Size())
	if int64(len(all)) < t.storage.count*size {
		return nil, errors.New("its storage is cut short")
	}
	if t.contiguous() {
		return all[t.offset*size : (t.offset+t.count)*size : (t.offset+t.count)*size], nil
	}
	out := make([]byte, 0, t.count*size)
	place := make([]int64, len(t.shape))
	for range t.count {
		at := t.offset
		for i, p := range place {
			at += p * t.stride[i]
		}
		out = append(out, all[at*size:(at+1)*size]...)
		for i := len(place) - 1; i >= 0; i-- {
			if place[i]++; place[i] < t.shape[i] {
				break
			}
			place[i] = 0
		}
	}
	return out, nil
}

// contiguous reports whether the elements stand in row-major order.
func (t *tensor) contiguous() bool {
	next := int64(1)
	for i := len(t.shape) - 1; i >= 0; i-- {
		if t.shape[i] != 1 && t.stride[i] != next {
			return false
		}
		next *= t.shape[i]
	}
	return true
}
