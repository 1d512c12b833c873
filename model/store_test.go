package model

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/locus-learn/locus/safetensors"
)

func TestNotFinite(t *testing.T) {
	f32 := func(values ...float64) (b []byte) {
		for _, v := range values {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(v)))
		}
		return b
	}
	f64 := func(values ...float64) (b []byte) {
		for _, v := range values {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		}
		return b
	}
	half := func(bits ...uint16) (b []byte) {
		for _, v := range bits {
			b = binary.LittleEndian.AppendUint16(b, v)
		}
		return b
	}
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		dtype safetensors.DType
		bytes []byte
		want  int
	}{
		{safetensors.F32, nil, -1},
		{safetensors.F32, f32(0, -1, math.MaxFloat32, math.SmallestNonzeroFloat32), -1},
		{safetensors.F32, f32(0, nan), 1},
		{safetensors.F32, f32(inf), 0},
		{safetensors.F32, f32(1, 2, 3, math.Inf(-1)), 3},
		{safetensors.F64, f64(math.MaxFloat64, 1e-308, math.Copysign(0, -1)), -1},
		{safetensors.F64, f64(1, 1, nan), 2},
		{safetensors.F64, f64(math.Inf(-1)), 0},
		{safetensors.BF16, half(0x3f80, 0x7f7f, 0xff7f), -1}, // 1 and the largest
		{safetensors.BF16, half(0x3f80, 0x7f80), 1},          // ∞
		{safetensors.BF16, half(0xffc0), 0},                  // NaN
		{safetensors.F16, half(0x3c00, 0x7bff), -1},
		{safetensors.F16, half(0x3c00, 0xfc00), 1},
		{safetensors.I64, f64(nan), -1}, // a count, whatever its bits
		{safetensors.U8, []byte{255, 255}, -1},
	} {
		if got := notFinite(c.dtype, c.bytes); got != c.want {
			t.Errorf("%s % x: %d, want %d", c.dtype, c.bytes, got, c.want)
		}
	}
}
