package picture

import (
	"encoding/binary"
	"math"
)

// Filter is an interpolation kernel, as Pillow defines it.
type Filter struct {
	radius float64
	weight func(x float64) float64
}

// The filters. When a picture shrinks they widen with it, so that nothing aliases.
var (
	Bilinear = Filter{1, func(x float64) float64 { return max(0, 1-math.Abs(x)) }}
	Bicubic  = Filter{2, func(x float64) float64 {
		const a = -0.5 // Keys 1981
		switch x = math.Abs(x); {
		case x < 1:
			return ((a+2)*x-(a+3))*x*x + 1
		case x < 2:
			return (((x-5)*x+8)*x - 4) * a
		}
		return 0
	}}
)

// Box is a part of a picture, in pixels from its upper left corner; sides may lie within pixels.
type Box struct{ X0, Y0, X1, Y1 float64 }

// Resizer scales pictures. It keeps its buffers between calls, and is for one goroutine at a time.
type Resizer struct {
	across, down taps
	between      []byte // the columns of the result, the rows of the source
}

// taps are the weights of one direction: output i is Σ_k weights[i·most+k] · input[first[i]+k], k < count[i].
type taps struct {
	most         int
	first, count []int
	weights      []int32 // fixed point, weightBits behind the point
	overshoots   bool    // some weight is negative, so that a sum may leave the range of a byte
}

// weightBits leaves two bits beside a byte, for the overshoot of a cubic and the sign.
const weightBits = 32 - 8 - 2

// set computes the taps that scale in0 … in1 of size inputs to out outputs.
func (t *taps) set(size int, in0, in1 float64, out int, f Filter) {
	scale := (in1 - in0) / float64(out)
	wide := max(1, scale)
	support := f.radius * wide
	t.most = 2*int(math.Ceil(support)) + 1
	t.first, t.count = grow(&t.first, out), grow(&t.count, out)
	t.weights = grow(&t.weights, out*t.most)
	exact := make([]float64, t.most)
	t.overshoots = false
	for i := range out {
		centre := in0 + (float64(i)+0.5)*scale
		from := max(0, int(centre-support+0.5))
		to := min(size, int(centre+support+0.5))
		var sum float64
		for k := range to - from {
			exact[k] = f.weight((float64(from+k) - centre + 0.5) / wide)
			sum += exact[k]
		}
		for k := range to - from {
			t.weights[i*t.most+k] = int32(math.Round(exact[k] / sum * (1 << weightBits)))
			t.overshoots = t.overshoots || exact[k] < 0
		}
		t.first[i], t.count[i] = from, to-from
	}
}

// Resize fills dst with the part of src inside box, first across, then down, rounding to bytes in between. dst and src
// have 1 or 3 channels, the same number, and do not overlap; the box is not empty and lies within src.
func (r *Resizer) Resize(dst, src Picture, box Box, f Filter) {
	r.across.set(src.W, box.X0, box.X1, dst.W, f)
	r.down.set(src.H, box.Y0, box.Y1, dst.H, f)
	top := r.down.first[0]
	last := dst.H - 1
	rows := r.down.first[last] + r.down.count[last] - top
	between := Of(grow(&r.between, rows*dst.W*dst.C), dst.W, rows, dst.C)
	for y := range rows {
		if dst.C == 3 {
			r.across.row3(between.row(y), src.row(top+y))
		} else {
			r.across.row1(between.row(y), src.row(top+y))
		}
	}
	for y := range dst.H {
		weights := r.down.weights[y*r.down.most:][:r.down.count[y]]
		rows := between.Pix[(r.down.first[y]-top)*between.Stride:]
		if len(weights) == 2 && !r.down.overshoots {
			blendTwo(dst.row(y), rows, rows[between.Stride:], weights[0], weights[1])
		} else {
			blendRows(dst.row(y), rows, between.Stride, weights)
		}
	}
}

const half = 1 << (weightBits - 1)

// clip brings a fixed-point sum back to a byte.
func clip(sum int) byte { return byte(max(0, min(255, sum>>weightBits))) }

func (t *taps) row1(dst, src []byte) {
	for i := range dst {
		sum := half
		in := src[t.first[i]:][:t.count[i]]
		for k, w := range t.weights[i*t.most:][:len(in)] {
			sum += int(in[k]) * int(w)
		}
		dst[i] = clip(sum)
	}
}

func (t *taps) row3(dst, src []byte) {
	for i, n := range t.count {
		in := src[3*t.first[i]:]
		weights := t.weights[i*t.most:][:n]
		out := dst[3*i:][:3]
		if n == 2 && !t.overshoots {
			in, w0, w1 := in[:6], uint32(weights[0]), uint32(weights[1])
			out[0] = byte((half + uint32(in[0])*w0 + uint32(in[3])*w1) >> weightBits)
			out[1] = byte((half + uint32(in[1])*w0 + uint32(in[4])*w1) >> weightBits)
			out[2] = byte((half + uint32(in[2])*w0 + uint32(in[5])*w1) >> weightBits)
			continue
		}
		r, g, b := half, half, half
		for _, w := range weights {
			p, w := in[:3], int(w)
			r, g, b = r+int(p[0])*w, g+int(p[1])*w, b+int(p[2])*w
			in = in[3:]
		}
		out[0], out[1], out[2] = clip(r), clip(g), clip(b)
	}
}

// blendTwo sets dst to the weighted sum of two rows whose weights make up 1. Two products fit in 64 bits side by side, so
// eight bytes take eight multiplications.
func blendTwo(dst, a, b []byte, weightA, weightB int32) {
	const lanes, halves = 0x000000ff000000ff, half<<32 | half
	wa, wb := uint64(weightA), uint64(weightB)
	a, b = a[:len(dst)], b[:len(dst)]
	i := 0
	for ; i+8 <= len(dst); i += 8 {
		va, vb := binary.LittleEndian.Uint64(a[i:]), binary.LittleEndian.Uint64(b[i:])
		v0 := (va&lanes*wa + vb&lanes*wb + halves) >> weightBits & lanes
		v1 := (va>>8&lanes*wa + vb>>8&lanes*wb + halves) >> weightBits & lanes
		v2 := (va>>16&lanes*wa + vb>>16&lanes*wb + halves) >> weightBits & lanes
		v3 := (va>>24&lanes*wa + vb>>24&lanes*wb + halves) >> weightBits & lanes
		binary.LittleEndian.PutUint64(dst[i:], v0|v1<<8|v2<<16|v3<<24)
	}
	for ; i < len(dst); i++ {
		dst[i] = byte((uint64(a[i])*wa + uint64(b[i])*wb + half) >> weightBits)
	}
}

// blendRows sets dst to the weighted sum of rows of its length that start stride bytes apart.
func blendRows(dst, rows []byte, stride int, weights []int32) {
	if len(weights) == 3 { // what a picture of nearly the same size takes
		a, b, c := rows[:len(dst)], rows[stride:][:len(dst)], rows[2*stride:][:len(dst)]
		w0, w1, w2 := int(weights[0]), int(weights[1]), int(weights[2])
		for i := range dst {
			dst[i] = clip(half + int(a[i])*w0 + int(b[i])*w1 + int(c[i])*w2)
		}
		return
	}
	for i := range dst {
		sum, at := half, i
		for _, w := range weights {
			sum += int(rows[at]) * int(w)
			at += stride
		}
		dst[i] = clip(sum)
	}
}

// Centre returns the part of a w × h picture that a centred window of cropW × cropH shows after the picture's shorter
// side was scaled to short: what torchvision's Resize and CenterCrop keep. The window must not exceed the scaled picture.
func Centre(w, h, short, cropW, cropH int) Box {
	scaledW, scaledH := short, short
	if w <= h {
		scaledH = int(float64(short) * float64(h) / float64(w))
	} else {
		scaledW = int(float64(short) * float64(w) / float64(h))
	}
	x := math.RoundToEven(float64(scaledW-cropW) / 2)
	y := math.RoundToEven(float64(scaledH-cropH) / 2)
	unitX, unitY := float64(w)/float64(scaledW), float64(h)/float64(scaledH)
	return Box{x * unitX, y * unitY, (x + float64(cropW)) * unitX, (y + float64(cropH)) * unitY}
}

// Over returns the same box of a picture that is smaller by a factor.
func (b Box) Over(shrink float64) Box {
	return Box{b.X0 / shrink, b.Y0 / shrink, b.X1 / shrink, b.Y1 / shrink}
}
