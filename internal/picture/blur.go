package picture

import "math"

// Smoother blurs and sharpens contiguous pictures in place. It keeps its buffers between calls, and is for one goroutine
// at a time.
type Smoother struct{ a, b []byte }

// boxes is how many box blurs stand for a Gaussian.
const boxes = 3

// Blur blurs by a Gaussian of standard deviation sigma in pixels, as three extended box blurs each way (Gwosdek et al.
// 2011), which cost the same for every sigma. Edges are continued.
func (s *Smoother) Blur(p Picture, sigma float64) {
	box := newBox(float32(sigma))
	a, b := grow(&s.a, max(p.W, p.H)), grow(&s.b, max(p.W, p.H))
	for y := range p.H {
		for c := range p.C {
			box.blurLine(p.Pix[y*p.Stride+c:], p.W, p.C, a, b)
		}
	}
	for x := range p.W * p.C {
		box.blurLine(p.Pix[x:], p.H, p.Stride, a, b)
	}
}

// box is a window of 2·reach+1 values of weight inner, and one more at each end of weight outer, which make up 1<<24.
type box struct {
	reach        int
	inner, outer uint32
}

// newBox returns the window whose variance, taken boxes times, is that of the Gaussian.
func newBox(sigma float32) box {
	variance := sigma * sigma / boxes
	l := float32(math.Floor((math.Sqrt(12*float64(variance)+1) - 1) / 2))
	part := (2*l + 1) * (l*(l+1) - 3*variance)
	part /= 6 * (variance - (l+1)*(l+1))
	b := box{reach: int(l + part)}
	b.inner = uint32((1 << 24) / ((l+part)*2 + 1))
	b.outer = (1<<24 - uint32(2*b.reach+1)*b.inner) / 2
	return b
}

// blurLine blurs n values that stand step bytes apart.
func (b box) blurLine(line []byte, n, step int, from, to []byte) {
	for i := range n {
		from[i] = line[i*step]
	}
	for range boxes {
		b.pass(to[:n], from[:n])
		from, to = to, from
	}
	for i := range n {
		line[i*step] = from[i]
	}
}

func (b box) pass(dst, src []byte) {
	last := len(src) - 1
	at := func(i int) uint32 { return uint32(src[max(0, min(last, i))]) }
	var sum uint32
	for i := -b.reach; i <= b.reach; i++ {
		sum += at(i)
	}
	for i := range dst {
		enters, leaves := at(i+b.reach+1), at(i-b.reach)
		edge := at(i-b.reach-1) + enters
		dst[i] = byte((sum*b.inner + edge*b.outer + 1<<23) >> 24)
		sum += enters - leaves
	}
}

// Sharpness goes from the picture smoothed by its neighbours, at factor 0, to the picture, at 1, and beyond. The pixels of
// the edge stay as they are.
func (s *Smoother) Sharpness(p Picture, factor float64) {
	soft := grow(&s.a, len(p.Pix))
	copy(soft, p.Pix)
	for y := 1; y < p.H-1; y++ {
		for i := y*p.Stride + p.C; i < (y+1)*p.Stride-p.C; i++ {
			sum := 4 * int(p.Pix[i]) // of the weight 5 in the middle, beside 1 around it
			for _, j := range [3]int{i - p.Stride, i, i + p.Stride} {
				sum += int(p.Pix[j-p.C]) + int(p.Pix[j]) + int(p.Pix[j+p.C])
			}
			soft[i] = byte((2*sum + 13) / 26)
		}
	}
	for i, v := range p.Pix {
		p.Pix[i] = blend(soft[i], v, float32(factor))
	}
}
