package train

import (
	"encoding/binary"
	"fmt"

	"github.com/locus-learn/locus/safetensors"
	"github.com/locus-learn/locus/torch"
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

// spoilt is a tensor that must not be saved. A loss can be finite while running statistics have become infinite: a checkpoint of
// such a network would take the place of one that can be used.
type spoilt struct {
	tensor       string
	module, step int
}

func (s *spoilt) Error() string {
	return fmt.Sprintf("%s of module %d is not finite after step %d", s.tensor, s.module, s.step)
}

// spoiled returns a [*spoilt] error if a parameter or buffer is not finite.
func (r *Run) spoiled() error {
	for _, m := range r.model.Modules() {
		for _, p := range m.Params {
			if p.Value.DType() != torch.Int64 && !torch.AllFinite([]torch.Tensor{p.Value}) {
				return &spoilt{p.Name, m.Index, r.at.Step}
			}
		}
	}
	return nil
}
