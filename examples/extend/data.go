package main

import (
	"math/rand/v2"

	"github.com/locus-learn/locus/data"
)

// side of the images, in pixels.
const side = 16

// stripes draws n grey images of stripes that lie (class 0) or stand (class 1), at a random place.
func stripes(random *rand.Rand, n int) data.Table {
	var t data.Table
	for i := range n {
		class, shift := i%2, random.IntN(side)
		for y := range side {
			for x := range side {
				place := y
				if class == 1 {
					place = x
				}
				bright := byte(64 + random.IntN(64))
				if (place+shift)/2%2 == 0 {
					bright += 128
				}
				t.Bytes = append(t.Bytes, bright)
			}
		}
		t.Labels = append(t.Labels, int64(class))
	}
	return t
}

// openStripes makes the set in memory. A set in files would look for them in dirs, and then in o.Dir.
func openStripes(o data.Options, dirs []string) (data.Source, error) {
	random := rand.New(rand.NewPCG(1, 2))
	return data.Memory{
		Name: o.Set, Shape: data.Shape{C: 1, H: side, W: side}, Classes: []string{"lying", "standing"},
		Train: stripes(random, 256), Test: stripes(random, 64),
	}.Source()
}

func init() {
	data.Register(data.Entry{Name: "stripes", Doc: "stripes that lie or stand", Open: openStripes})
}
