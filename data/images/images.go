package images

import (
	"github.com/locus-learn/locus/data"
)

// Images is labelled images: in memory, or in files that are decoded whenever
// a batch needs them. Nothing in this package writes to one that is open, so several loaders may read it at a time; whoever else holds it should treat it
// the same.
type Images struct {
	Shape   data.Shape // of an image as a batch has it
	Labels  []uint16   // Len classes; small, because a shuffled epoch hops through them
	Sets    [][]uint16 // in place of Labels where images may have any number of classes: those of each image, ascending
	Pixels  []byte     // Len × H × W × C, channels last; nil if the images are in files
	photos  *photos
	change  Transform // what training does to them
	classes int       // of the set, with Sets
}

// Len returns the number of images.
func (m Images) Len() int { return max(len(m.Labels), len(m.Sets)) }

// Image returns the H × W × C bytes of image i in memory, which stay the set's.
func (m Images) Image(i int) []byte {
	size := m.Shape.Size()
	return m.Pixels[i*size : (i+1)*size : (i+1)*size]
}

// ByClass reports whether the images come class by class, as those in files do.
func (m Images) ByClass() bool { return m.photos != nil }

// Label is as [data.Labelled] says.
func (m Images) Label(position int) int { return int(m.Labels[position]) }

// MultiLabel is as [data.MultiLabelled] says.
func (m Images) MultiLabel() bool { return m.Sets != nil }

// Classes is as [data.MultiLabelled] says.
func (m Images) Classes(position int) []uint16 { return m.Sets[position] }

// Title is as [data.Titled] says: the path of an image in a file, "" of one in memory.
func (m Images) Title(position int) string {
	if m.photos == nil {
		return ""
	}
	return m.photos.title(position)
}

// Subset returns the images at the given positions, in that order. Bytes are shared where the positions are one stretch, and
// copied otherwise.
func (m Images) Subset(positions []int) data.Samples { return m.at(positions) }

func (m Images) at(positions []int) Images {
	out := Images{Shape: m.Shape, change: m.change, classes: m.classes}
	if m.MultiLabel() {
		out.Sets = make([][]uint16, 0, len(positions))
		for _, i := range positions {
			out.Sets = append(out.Sets, m.Sets[i])
		}
	} else {
		out.Labels = make([]uint16, 0, len(positions))
		for _, i := range positions {
			out.Labels = append(out.Labels, m.Labels[i])
		}
	}
	if m.photos != nil {
		files := make([]file, 0, len(positions))
		for _, i := range positions {
			files = append(files, m.photos.files[i])
		}
		out.photos = m.photos.with(files)
		return out
	}
	if n := len(positions); n > 0 && stretch(positions) {
		first, size := positions[0], m.Shape.Size()
		out.Pixels = m.Pixels[first*size : (first+n)*size : (first+n)*size]
		return out
	}
	out.Pixels = make([]byte, 0, len(positions)*m.Shape.Size())
	for _, i := range positions {
		out.Pixels = append(out.Pixels, m.Image(i)...)
	}
	return out
}

// Batches is as [data.Samples] says. A Loader prepares them.
//
// An image in a file that cannot be read is named once, through [data.OnBroken]. In training the next one in the epoch's
// order that can be read stands in for it, so that the batches are the same however often they are made.
func (m Images) Batches(o data.BatchOptions) data.Batches { return m.loader(o) }

func (m Images) loader(o data.BatchOptions) *data.Loader {
	if err := m.change.check(); err != nil {
		panic("data: images whose " + err.Error())
	}
	return data.NewLoader(m.Len(), o, func() data.Filler {
		f := &filler{o: &o, images: m}
		if o.Augment {
			f.change = m.change
		}
		f.paints = f.change.colours()
		return f
	})
}

// stretch reports whether positions follow one another.
func stretch(positions []int) bool {
	for i, p := range positions {
		if p != positions[0]+i {
			return false
		}
	}
	return true
}
