package model

import (
	"encoding/binary"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/safetensors"
	"github.com/locus-learn/locus/torch"
)

// Stored describes parameters and buffers to [safetensors.Write], in their order and by their names.
func Stored(params []*nn.Param) []safetensors.Tensor {
	var all []safetensors.Tensor
	for _, p := range params {
		all = append(all, StoredTensor(p.Name, p.Value))
	}
	return all
}

// Stored describes parameters of the model to [safetensors.Write], which reads them where they are when their turn comes:
// those of a module that is not in memory from its store.
func (m *Model) Stored(params []*nn.Param) (all []safetensors.Tensor) {
	owner := map[*nn.Param]int{}
	for i, module := range m.Modules() {
		for _, p := range module.Params {
			owner[p] = i
		}
	}
	for _, p := range params {
		all = append(all, m.Tensor(owner[p], p.Name, p.Value))
	}
	return all
}

// Tensor describes what the i-th module holds under a name.
func (m *Model) Tensor(i int, name string, t torch.Tensor) safetensors.Tensor {
	stored := StoredTensor(name, t)
	stored.Load = func(buffer *[]byte) ([]byte, error) {
		return m.Chain.Residents.Read(i, local.Held{Name: name, Value: t}, buffer)
	}
	return stored
}

// StoredTensor describes a tensor to [safetensors.Write], which asks for its elements when their turn comes. They are
// written in row-major order, whatever layout the tensor has in memory.
func StoredTensor(name string, t torch.Tensor) safetensors.Tensor {
	return safetensors.Tensor{
		Name: name, DType: StoredType(t.DType()), Shape: t.Shape(),
		Load: func(buffer *[]byte) ([]byte, error) { return t.Elements(buffer), nil },
	}
}

// StoredType is what a safetensors file calls a type of elements.
func StoredType(t torch.DType) safetensors.DType { return safetensors.DType(t.Code()) }

// readAs returns the engine's name of a type of elements, and what makes their bytes those of that type: small whole numbers
// become int64. It reports whether the type can be read.
func readAs(t safetensors.DType) (dtype torch.DType, wide func([]byte) []byte, ok bool) {
	switch t {
	case safetensors.I32, safetensors.I16, safetensors.I8:
		return torch.Int64, func(b []byte) []byte { return widened(b, t.Size()) }, true
	}
	dtype, ok = torch.DTypeByCode(string(t))
	return dtype, func(b []byte) []byte { return b }, ok
}

// widened turns whole numbers of size bytes, of two's complement, into int64.
func widened(b []byte, size int) []byte {
	out := make([]byte, 0, 8*len(b)/size)
	for ; len(b) >= size; b = b[size:] {
		v := int64(int8(b[size-1]))
		for i := size - 2; i >= 0; i-- {
			v = v<<8 | int64(b[i])
		}
		out = binary.LittleEndian.AppendUint64(out, uint64(v))
	}
	return out
}

// notFinite returns the first element of a tensor's bytes that is NaN or infinite, -1 if there is none. A number of one of
// IEEE's types is, when all bits of its exponent are set; they lie in its upper half.
func notFinite(t safetensors.DType, bytes []byte) int {
	size := t.Size()
	exponent := map[safetensors.DType]uint64{
		safetensors.F64: 0x7ff << 52, safetensors.F32: 0xff << 23, safetensors.BF16: 0xff << 7, safetensors.F16: 0x1f << 10,
	}[t]
	if exponent == 0 {
		return -1
	}
	for i := 0; i < len(bytes); i += size {
		var bits uint64
		switch size {
		case 8:
			bits = binary.LittleEndian.Uint64(bytes[i:])
		case 4:
			bits = uint64(binary.LittleEndian.Uint32(bytes[i:]))
		default:
			bits = uint64(binary.LittleEndian.Uint16(bytes[i:]))
		}
		if bits&exponent == exponent {
			return i / size
		}
	}
	return -1
}
