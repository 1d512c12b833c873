package data

import (
	"math/rand/v2"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/picture"
	"github.com/locus-learn/locus/internal/seed"
)

// filler fills batches; it belongs to one goroutine, whose buffers it keeps.
type filler struct {
	o      *LoaderOptions
	images Images
	order  []int
	lens   lens
	studio studio
	whole  []byte // an image before it is padded and cropped
	paints bool   // the transform recolours
}

// fill makes b batch i. All its random choices come from streams that seed, epoch and i determine.
func (f *filler) fill(b *Batch, i int) {
	first, end := i*f.o.Batch, min((i+1)*f.o.Batch, len(f.order))
	*b = Batch{
		Images: b.Images[:0], Second: b.Second[:0], Labels: b.Labels[:0], Partners: b.Partners[:0], Weight: 1,
		Shape: f.images.Shape, Epoch: f.o.Epoch, Index: i,
	}
	random := seed.Rand(f.o.Seed, "data/augment", uint64(f.o.Epoch), uint64(i))
	for at := first; at < end && b.err == nil; at++ {
		f.add(b, at, random)
	}
	if b.N > 0 && f.o.Views < 2 {
		f.o.Transform.mix(b, func() *rand.Rand { return seed.Rand(f.o.Seed, "data/mix", uint64(f.o.Epoch), uint64(i)) })
	}
}

// mostTries is after how many images in a row that cannot be read a loader gives up.
const mostTries = 1000

// add appends the image that the epoch visits at position at, or the first one behind it that can be read.
func (f *filler) add(b *Batch, at int, random *rand.Rand) {
	var views [2][]byte
	end := (b.N + 1) * b.Shape.Size()
	start := end - b.Shape.Size()
	views[0] = b.Images[start:end:end]
	if b.Second != nil {
		views[1] = b.Second[start:end:end]
	}
	for try := range min(mostTries, len(f.order)) {
		pick := f.order[(at+try)%len(f.order)]
		b.Labels = append(b.Labels[:b.N], int64(f.images.Labels[pick])) // early, so that nothing waits for the memory
		err := f.render(&views, pick, random)
		if err == nil {
			b.N++
			b.Images = b.Images[:end]
			if b.Second != nil {
				b.Second = b.Second[:end]
			}
			return
		}
		b.Labels = b.Labels[:b.N]
		b.broken = append(b.broken, broken{f.images.photos.title(pick), err})
		if f.o.KeepLast {
			return
		}
	}
	b.err = fault.New("%w: none of %d images in a row", ErrBroken, len(b.broken))
}

// render writes an image to the views that are not nil.
func (f *filler) render(views *[2][]byte, pick int, r *rand.Rand) error {
	if f.images.photos != nil {
		if err := f.renderPhoto(views, pick, r); err != nil {
			return err
		}
	} else {
		f.renderStored(views, f.images.Image(pick), r)
	}
	if !f.paints {
		return nil
	}
	for v, out := range views {
		if out != nil {
			f.studio.colour(f.canvas(out), &f.o.Transform, v, r)
		}
	}
	return nil
}

// canvas returns the bytes of an image of the batch as a picture.
func (f *filler) canvas(out []byte) picture.Picture {
	s := f.images.Shape
	return picture.Of(out, s.W, s.H, s.C)
}

// renderStored crops an image in memory.
func (f *filler) renderStored(views *[2][]byte, src []byte, r *rand.Rand) {
	s, t := f.images.Shape, &f.o.Transform
	for _, out := range views {
		switch {
		case out == nil:
		case t.Augment == AugmentCropFlip:
			cropFlip(out, src, s, r)
		case t.randomPlace():
			t.place(s.W, s.H, r).scale(f.canvas(out), f.canvas(src), 1, t.filter(), &f.lens.resizer)
			f.flip(out, r)
		default:
			copy(out, src)
		}
	}
}

// renderPhoto decodes an image, no larger than its parts need, and crops it.
func (f *filler) renderPhoto(views *[2][]byte, pick int, r *rand.Rand) error {
	t, photos := &f.o.Transform, f.images.photos
	w, h, err := f.lens.focus(photos, pick)
	if err != nil {
		return err
	}
	if !t.randomPlace() {
		return f.renderCentre(views, w, h, r)
	}
	var places [2]place
	shrink := 8
	for v, out := range views {
		if out != nil {
			places[v] = t.place(w, h, r)
			shrink = min(shrink, shrinkFor(places[v].w, places[v].h, f.images.Shape))
		}
	}
	p, shrink, err := f.lens.expose(shrink)
	if err != nil {
		return err
	}
	for v, out := range views {
		if out != nil {
			places[v].scale(f.canvas(out), p, shrink, t.filter(), &f.lens.resizer)
			f.flip(out, r)
		}
	}
	return nil
}

// renderCentre crops the image as evaluation does; with crop-flip, each view differently.
func (f *filler) renderCentre(views *[2][]byte, w, h int, r *rand.Rand) error {
	s := f.images.Shape
	if f.o.Transform.Augment != AugmentCropFlip {
		if err := f.lens.centre(f.canvas(views[0]), w, h, f.images.photos.resize); err != nil {
			return err
		}
		copy(views[1], views[0])
		return nil
	}
	if f.whole == nil {
		f.whole = make([]byte, s.Size())
	}
	if err := f.lens.centre(f.canvas(f.whole), w, h, f.images.photos.resize); err != nil {
		return err
	}
	for _, out := range views {
		if out != nil {
			cropFlip(out, f.whole, s, r)
		}
	}
	return nil
}

func (f *filler) flip(out []byte, r *rand.Rand) {
	if r.Float64() < f.o.Transform.Flip {
		mirror(out, f.images.Shape)
	}
}
