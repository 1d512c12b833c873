package picture

// The operations of this file change a contiguous picture in place.

// Solarize inverts the bytes from threshold on; 256 inverts none.
func (p Picture) Solarize(threshold int) {
	for i, v := range p.Pix {
		if int(v) >= threshold {
			p.Pix[i] = 255 - v
		}
	}
}

// Posterize keeps the upper bits of each byte.
func (p Picture) Posterize(bits int) {
	mask := byte(0xff << (8 - bits))
	for i := range p.Pix {
		p.Pix[i] &= mask
	}
}

// AutoContrast stretches each channel to reach from 0 to 255.
func (p Picture) AutoContrast() {
	p.perChannel(func(count *[256]int) (table [256]byte) {
		low, high := 0, 255
		for low < 255 && count[low] == 0 {
			low++
		}
		for high > 0 && count[high] == 0 {
			high--
		}
		for v := range table {
			table[v] = byte(v)
			if high > low {
				scale := 255 / float64(high-low)
				table[v] = byte(max(0, min(255, float64(v)*scale-float64(low)*scale)))
			}
		}
		return table
	})
}

// Equalize spreads the values of each channel evenly.
func (p Picture) Equalize() {
	p.perChannel(func(count *[256]int) (table [256]byte) {
		last, all := 0, 0
		for v, n := range count {
			table[v] = byte(v)
			if all += n; n > 0 {
				last = n
			}
		}
		step := (all - last) / 255
		if step == 0 {
			return table
		}
		below := step / 2
		for v, n := range count {
			table[v] = byte(min(255, below/step))
			below += n
		}
		return table
	})
}

// perChannel replaces the bytes of each channel by a table made from how often each value occurs.
func (p Picture) perChannel(table func(count *[256]int) [256]byte) {
	for c := range p.C {
		var count [256]int
		for i := c; i < len(p.Pix); i += p.C {
			count[p.Pix[i]]++
		}
		t := table(&count)
		for i := c; i < len(p.Pix); i += p.C {
			p.Pix[i] = t[p.Pix[i]]
		}
	}
}

// FlipH mirrors each row.
func (p Picture) FlipH() {
	for y := range p.H {
		row := p.row(y)
		for i, j := 0, len(row)-p.C; i < j; i, j = i+p.C, j-p.C {
			for k := range p.C {
				row[i+k], row[j+k] = row[j+k], row[i+k]
			}
		}
	}
}

// Fill sets the rectangle at x, y to colour, one byte a channel. An empty one may lie at the edge.
func (p Picture) Fill(x, y, w, h int, colour []byte) {
	if w < 1 || h < 1 {
		return
	}
	part := p.Crop(x, y, w, h)
	for r := range h {
		for row := part.row(r); len(row) > 0; row = row[p.C:] {
			copy(row, colour[:p.C])
		}
	}
}
