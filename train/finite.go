package train

import (
	"encoding/binary"

	"github.com/locus-learn/locus/safetensors"
)

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
