package picture

import "math"

// The operations of this file change a contiguous picture in place. Those that weigh colours want 3 channels; a picture
// of 1 channel has only lightness, and what would change its colours leaves it as it is.

// luma is the lightness of a pixel by ITU-R BT.601, rounded.
func luma(r, g, b byte) byte {
	return byte((int(r)*19595 + int(g)*38470 + int(b)*7471 + 1<<15) >> 16)
}

// blend goes from a, at factor 0, to b, at 1, and beyond; the fraction is cut off.
func blend(a, b byte, factor float32) byte {
	v := float32(a) + factor*(float32(b)-float32(a))
	return byte(max(0, min(255, v)))
}

// lookup replaces each byte v by table[v].
func (p Picture) lookup(table *[256]byte) {
	for i, v := range p.Pix {
		p.Pix[i] = table[v]
	}
}

// blendAll goes from a grey level, at factor 0, to the picture, at 1.
func (p Picture) blendAll(level byte, factor float64) {
	var table [256]byte
	for v := range table {
		table[v] = blend(level, byte(v), float32(factor))
	}
	p.lookup(&table)
}

// Brightness multiplies by factor.
func (p Picture) Brightness(factor float64) { p.blendAll(0, factor) }

// Contrast multiplies the distance from the mean lightness by factor.
func (p Picture) Contrast(factor float64) {
	sum := 0
	if p.C == 3 {
		for i := 0; i+3 <= len(p.Pix); i += 3 {
			sum += int(luma(p.Pix[i], p.Pix[i+1], p.Pix[i+2]))
		}
	} else {
		for _, v := range p.Pix {
			sum += int(v)
		}
	}
	p.blendAll(byte(float64(sum)/float64(p.W*p.H)+0.5), factor)
}

// Saturation multiplies the distance from grey by factor.
func (p Picture) Saturation(factor float64) {
	if p.C != 3 {
		return
	}
	f := float32(factor)
	for i := 0; i+3 <= len(p.Pix); i += 3 {
		px := p.Pix[i : i+3 : i+3]
		grey := luma(px[0], px[1], px[2])
		px[0], px[1], px[2] = blend(grey, px[0], f), blend(grey, px[1], f), blend(grey, px[2], f)
	}
}

// Luma returns the lightness of each pixel of a picture of 3 channels.
func (p Picture) Luma() []byte {
	out := make([]byte, 0, p.W*p.H)
	for i := 0; i+3 <= len(p.Pix); i += 3 {
		out = append(out, luma(p.Pix[i], p.Pix[i+1], p.Pix[i+2]))
	}
	return out
}

// Grey replaces each colour by its lightness.
func (p Picture) Grey() { p.Saturation(0) }

// Hue turns the colour circle by shift, where 1 is a whole turn and -½ to ½ is allowed. Hues are bytes, as in Pillow.
func (p Picture) Hue(shift float64) {
	if p.C != 3 {
		return
	}
	turn := byte(int(shift * 255))
	for i := 0; i+3 <= len(p.Pix); i += 3 {
		px := p.Pix[i : i+3 : i+3]
		h, s, v := toHSV(px[0], px[1], px[2])
		px[0], px[1], px[2] = fromHSV(h+turn, s, v)
	}
}

// toHSV and fromHSV cut off and round where Pillow does, in the same precision.
func toHSV(r, g, b byte) (h, s, v byte) {
	v = max(r, g, b)
	least := min(r, g, b)
	if v == least {
		return 0, 0, v
	}
	span := float32(v - least)
	rc, gc, bc := float32(v-r)/span, float32(v-g)/span, float32(v-b)/span
	var turn float32
	switch v {
	case r:
		turn = bc - gc
	case g:
		turn = 2 + rc - bc
	default:
		turn = 4 + gc - rc
	}
	circle := float64(turn)/6 + 1
	if circle >= 1 {
		circle--
	}
	return byte(float64(float32(circle)) * 255), byte(float64(span/float32(v)) * 255), v
}

func fromHSV(h, s, v byte) (r, g, b byte) {
	if s == 0 {
		return v, v, v
	}
	at := float64(h) * 6 / 255
	sector := math.Floor(at)
	f, fs := float64(float32(at-sector)), float64(float32(float64(s)/255))
	level := func(part float64) byte { return byte(float64(v)*part + 0.5) }
	p, q, t := level(1-fs), level(1-fs*f), level(1-fs*(1-f))
	switch int(sector) % 6 {
	case 0:
		return v, t, p
	case 1:
		return q, v, p
	case 2:
		return p, v, t
	case 3:
		return p, q, v
	case 4:
		return t, p, v
	}
	return v, p, q
}
