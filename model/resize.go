package model

import (
	"math"
	"strings"
)

// resizable says how a tensor of one shape becomes one of another: a grid of rows of width numbers, behind some that have no
// place in it.
type resizable struct {
	extra, from, to, width int // rows before the grid; sides of the square grids; numbers a row
}

// resizes reports whether a tensor is made for another image or window than the network's, and can be resized.
func resizes(name string, has, want []int64) (r resizable, ok bool) {
	side := func(n int64) int {
		root := int(math.Round(math.Sqrt(float64(n))))
		if int64(root)*int64(root) != n {
			return 0
		}
		return root
	}
	switch {
	case name == "pos_embed" && len(has) == 3 && len(want) == 3 && has[0] == 1 && want[0] == 1 && has[2] == want[2]:
		r = resizable{1, side(has[1] - 1), side(want[1] - 1), int(has[2])}
	case strings.HasSuffix(name, ".relative_position_bias_table") && len(has) == 2 && len(want) == 2 && has[1] == want[1]:
		r = resizable{0, side(has[0]), side(want[0]), int(has[1])}
	}
	return r, r.from > 0 && r.to > 0
}

// resize returns the rows in the other size: those before the grid as they are, the grid bicubically.
func (r resizable) resize(rows []float32) []float32 {
	head := r.extra * r.width
	return append(append([]float32{}, rows[:head]...), bicubic(rows[head:], r.from, r.from, r.to, r.to, r.width)...)
}

// bicubic resizes a grid [h, w, c] to [toH, toW, c] as PyTorch does with corners not aligned: Keys's kernel with a = −0.75, and
// the border repeated.
func bicubic(grid []float32, h, w, toH, toW, c int) []float32 {
	out := make([]float32, toH*toW*c)
	for y := range toH {
		ys, yw := taps(y, h, toH)
		for x := range toW {
			xs, xw := taps(x, w, toW)
			for k := range c {
				sum := 0.0
				for i, row := range ys {
					for j, column := range xs {
						sum += yw[i] * xw[j] * float64(grid[(row*w+column)*c+k])
					}
				}
				out[(y*toW+x)*c+k] = float32(sum)
			}
		}
	}
	return out
}

// taps are the four places that place i of a longer or shorter axis is made of, with their weights.
func taps(i, n, to int) (places [4]int, weights [4]float64) {
	const a = -0.75
	at := (float64(i)+0.5)*float64(n)/float64(to) - 0.5
	first := math.Floor(at)
	for k := range 4 {
		p := first + float64(k-1)
		places[k] = min(max(int(p), 0), n-1)
		switch d := math.Abs(at - p); {
		case d <= 1:
			weights[k] = ((a+2)*d-(a+3))*d*d + 1
		case d < 2:
			weights[k] = ((a*d-5*a)*d+8*a)*d - 4*a
		}
	}
	return places, weights
}
