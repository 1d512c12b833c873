package data

import (
	"slices"

	"github.com/locus-learn/locus/internal/seed"
)

// Shape is the size of one image: channels, rows, columns.
type Shape struct{ C, H, W int }

// Size returns the number of bytes of one image.
func (s Shape) Size() int { return s.C * s.H * s.W }

// Images is labelled images: in memory, or in files that are decoded whenever a batch needs them. Nothing in this package
// writes to one that Open has returned, so several loaders may read it at a time; whoever else holds it should treat it
// the same.
type Images struct {
	Shape  Shape    // of an image as a Loader delivers it
	Labels []uint16 // Len classes; small, because a shuffled epoch hops through them
	Pixels []byte   // Len × H × W × C, channels last; nil if the images are in files
	photos *photos
}

// Len returns the number of images.
func (m Images) Len() int { return len(m.Labels) }

// Image returns the H × W × C bytes of image i in memory, which stay the set's.
func (m Images) Image(i int) []byte {
	size := m.Shape.Size()
	return m.Pixels[i*size : (i+1)*size : (i+1)*size]
}

// Head returns at most the first n images, or all of them if n is 0. The bytes are shared.
func (m Images) Head(n int) Images {
	if n == 0 || n >= m.Len() {
		return m
	}
	m.Labels = m.Labels[:n:n]
	if m.photos != nil {
		m.photos = m.photos.with(m.photos.files[:n:n])
		return m
	}
	m.Pixels = m.Pixels[: n*m.Shape.Size() : n*m.Shape.Size()]
	return m
}

// Select returns a copy of the images at the given positions, in that order.
func (m Images) Select(positions []int) Images {
	out := Images{Shape: m.Shape, Labels: make([]uint16, 0, len(positions))}
	for _, i := range positions {
		out.Labels = append(out.Labels, m.Labels[i])
	}
	if m.photos != nil {
		files := make([]file, 0, len(positions))
		for _, i := range positions {
			files = append(files, m.photos.files[i])
		}
		out.photos = m.photos.with(files)
		return out
	}
	out.Pixels = make([]byte, 0, len(positions)*m.Shape.Size())
	for _, i := range positions {
		out.Pixels = append(out.Pixels, m.Image(i)...)
	}
	return out
}

// Limit is Head for images in memory. Those in files come class by class, so it takes n of them evenly spaced.
func (m Images) Limit(n int) Images {
	if m.photos == nil || n == 0 || n >= m.Len() {
		return m.Head(n)
	}
	positions := make([]int, n)
	for i := range positions {
		positions[i] = i * m.Len() / n
	}
	return m.Select(positions)
}

// Split takes n images out by the seed root and returns the rest and them, both in the order of m. Both are copies
// unless n is 0. It panics if n is negative or exceeds m.Len().
func (m Images) Split(n int, root uint64) (rest, taken Images) {
	if n == 0 {
		return m, Images{Shape: m.Shape}
	}
	order := seed.Rand(root, "data/validation").Perm(m.Len())
	slices.Sort(order[:n])
	slices.Sort(order[n:])
	return m.Select(order[n:]), m.Select(order[:n])
}
