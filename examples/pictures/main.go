// Command pictures draws small photographs of nothing in particular, for scripts that need a folder of images: stripes, dots,
// rings and squares, in colours and places that change from picture to picture.
//
//	pictures FOLDER CLASS...
//
// FOLDER then holds train/CLASS/*.png and val/CLASS/*.png.
package main

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
)

const side = 40 // pixels

// inside tells for each class whether a point, from the picture's centre, belongs to the figure.
var inside = map[string]func(x, y, size float64) bool{
	"stripes": func(x, _, size float64) bool { return math.Mod(math.Abs(x), size) < size/2 },
	"bars":    func(_, y, size float64) bool { return math.Mod(math.Abs(y), size) < size/2 },
	"disc":    func(x, y, size float64) bool { return math.Hypot(x, y) < size },
	"ring":    func(x, y, size float64) bool { return math.Abs(math.Hypot(x, y)-size) < 3 },
	"square":  func(x, y, size float64) bool { return math.Max(math.Abs(x), math.Abs(y)) < size },
	"cross":   func(x, y, size float64) bool { return math.Min(math.Abs(x), math.Abs(y)) < size/3 },
}

func main() {
	if err := drawAll(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "pictures:", err)
		os.Exit(2)
	}
}

func drawAll(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("give a folder and classes among stripes, bars, disc, ring, square, cross")
	}
	for part, n := range map[string]int{"train": 40, "val": 10} {
		for _, class := range args[1:] {
			if inside[class] == nil {
				return fmt.Errorf("no class %q: must be among stripes, bars, disc, ring, square, cross", class)
			}
			folder := filepath.Join(args[0], part, class)
			if err := os.MkdirAll(folder, 0o755); err != nil {
				return err
			}
			random := rand.New(rand.NewPCG(uint64(n), uint64(len(class))<<8|uint64(class[0])))
			for i := range n {
				if err := write(filepath.Join(folder, fmt.Sprintf("%02d.png", i)), draw(class, random)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// draw puts a figure of one colour on a ground of another, with noise on both.
func draw(class string, random *rand.Rand) image.Image {
	hue := func(base int) [3]int {
		return [3]int{base + random.IntN(90), base + random.IntN(90), base + random.IntN(90)}
	}
	ground, figure := hue(20), hue(140)
	size := 8 + 4*random.Float64()
	cx, cy := side/2+6*(random.Float64()-0.5), side/2+6*(random.Float64()-0.5)
	m := image.NewNRGBA(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			c := ground
			if inside[class](float64(x)-cx, float64(y)-cy, size) {
				c = figure
			}
			noise := random.IntN(25)
			m.SetNRGBA(x, y, color.NRGBA{uint8(c[0] + noise), uint8(c[1] + noise), uint8(c[2] + noise), 255})
		}
	}
	return m
}

func write(path string, m image.Image) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := png.Encode(f, m); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
