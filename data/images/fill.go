package images

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/picture"
	"github.com/locus-learn/locus/internal/seed"
)

// filler fills batches; it belongs to one goroutine, whose buffers it keeps.
type filler struct {
	o          *data.BatchOptions
	images     Images
	change     Transform
	reader     reader
	recolourer recolourer
	whole      []byte // an image before it is padded and cropped
	paints     bool   // the transform recolours
	broken     []broken
	reading    atomic.Int64 // 1 + the place of the image in a file that it is at; 0 for none
}

// Doing names the image that is being read, for whoever waits for it.
func (f *filler) Doing() string {
	if i := f.reading.Load(); i > 0 {
		return f.images.photos.title(int(i - 1))
	}
	return ""
}

// Close frees the decoder.
func (f *filler) Close() { f.reader.close() }

// Fill makes b batch i. All its random choices come from streams that seed, epoch and positions determine.
func (f *filler) Fill(b *data.Batch, order []int, i int) (told func() error, err error) {
	first, end := f.o.Span(i, len(order))
	f.clear(b, end-first)
	f.broken = nil
	for at := first; at < end && err == nil; at++ {
		err = f.add(b, order, at, seed.Rand(f.o.Seed, "data/augment", uint64(f.o.Epoch), uint64(at)))
	}
	if b.N > 0 && f.o.Views < 2 {
		f.change.mix(b, func() *rand.Rand { return seed.Rand(f.o.Seed, "data/mix", uint64(f.o.Epoch), uint64(i)) })
	}
	if found := f.broken; len(found) > 0 {
		told = func() error { return f.images.photos.broken.report(found) }
	}
	return told, err
}

// clear empties b, which has room for n images afterwards.
func (f *filler) clear(b *data.Batch, n int) {
	room := n * f.images.Shape.Size()
	views := [2][]byte{slices.Grow(b.Bytes[:0], room), nil}
	if f.o.Views == 2 {
		views[1] = slices.Grow(b.Second.Bytes[:0], room)
	}
	labels, has := b.Labels[:0], b.Has[:0]
	if f.images.MultiLabel() {
		has = slices.Grow(has, n*f.images.classes)
	} else {
		labels = slices.Grow(labels, n)
	}
	*b = data.Batch{
		Values: data.Values{Bytes: views[0]}, Second: data.Values{Bytes: views[1]},
		Labels: labels, Has: has, Places: slices.Grow(b.Places[:0], n), Partners: b.Partners[:0], Weight: 1, Shape: f.images.Shape,
	}
}

// mostTries is after how many images in a row that cannot be read a loader gives up.
const mostTries = 1000

// add appends the image that the epoch visits at position at, or the first one behind it that can be read.
func (f *filler) add(b *data.Batch, order []int, at int, random *rand.Rand) error {
	var views [2][]byte
	end := (b.N + 1) * b.Shape.Size()
	start := end - b.Shape.Size()
	views[0] = b.Bytes[start:end:end]
	if b.Second.Bytes != nil {
		views[1] = b.Second.Bytes[start:end:end]
	}
	for try := range min(mostTries, len(order)) {
		pick := order[(at+try)%len(order)]
		f.label(b, pick) // early, so that nothing waits for the memory
		err := f.render(&views, pick, random)
		if err == nil {
			b.N++
			b.Places = append(b.Places, pick)
			b.Bytes = b.Bytes[:end]
			if b.Second.Bytes != nil {
				b.Second.Bytes = b.Second.Bytes[:end]
			}
			return nil
		}
		f.unlabel(b)
		f.broken = append(f.broken, broken{f.images.photos.title(pick), err})
		if f.o.KeepLast {
			return nil
		}
	}
	return fault.New("%w: none of %d images in a row", data.ErrBroken, len(f.broken))
}

// label adds the classes of an image to a batch, whose next one it is.
func (f *filler) label(b *data.Batch, pick int) {
	if !f.images.MultiLabel() {
		b.Labels = append(b.Labels, int64(f.images.Labels[pick]))
		return
	}
	start := len(b.Has)
	b.Has = append(b.Has, make([]byte, f.images.classes)...)
	for _, class := range f.images.Sets[pick] {
		b.Has[start+int(class)] = 1
	}
}

// unlabel takes the classes of an image back that cannot be read.
func (f *filler) unlabel(b *data.Batch) {
	if !f.images.MultiLabel() {
		b.Labels = b.Labels[:b.N]
		return
	}
	b.Has = b.Has[:b.N*f.images.classes]
}

// render writes an image to the views that are not nil.
func (f *filler) render(views *[2][]byte, pick int, r *rand.Rand) error {
	if f.images.photos != nil {
		f.reading.Store(int64(pick) + 1)
		defer f.reading.Store(0)
		if err := f.renderPhoto(views, pick, r); err != nil {
			return err
		}
	} else {
		f.renderStored(views, pick, r)
	}
	if !f.paints {
		return nil
	}
	for v, out := range views {
		if out != nil {
			f.recolourer.colour(f.picture(out), &f.change, v, r)
		}
	}
	return nil
}

// picture returns the bytes of an image of the batch as a picture.
func (f *filler) picture(out []byte) picture.Picture {
	s := f.images.Shape
	return picture.Of(out, s.W, s.H, s.C)
}

// renderStored crops an image in memory.
func (f *filler) renderStored(views *[2][]byte, pick int, r *rand.Rand) {
	s, t, src := f.images.Shape, &f.change, f.images.Image(pick)
	for _, out := range views {
		switch {
		case out == nil:
		case t.Augment == data.AugmentCropFlip:
			f.cropFlip(out, src, pick, r)
		case t.randomPlace():
			t.place(s.W, s.H, r).scale(f.picture(out), f.picture(src), 1, t.filter(), &f.reader.resizer)
			f.flip(out, r)
		default:
			copy(out, src)
		}
	}
}

// renderPhoto decodes an image, no larger than its parts need, and crops it.
func (f *filler) renderPhoto(views *[2][]byte, pick int, r *rand.Rand) error {
	t, photos := &f.change, f.images.photos
	w, h, err := f.reader.load(photos, pick)
	if err != nil {
		return err
	}
	if !t.randomPlace() {
		return f.renderCentre(views, pick, w, h, r)
	}
	var places [2]place
	shrink := 8
	for v, out := range views {
		if out != nil {
			places[v] = t.place(w, h, r)
			shrink = min(shrink, shrinkFor(places[v].w, places[v].h, f.images.Shape))
		}
	}
	p, shrink, err := f.reader.decode(shrink)
	if err != nil {
		return err
	}
	for v, out := range views {
		if out != nil {
			places[v].scale(f.picture(out), p, shrink, t.filter(), &f.reader.resizer)
			f.flip(out, r)
		}
	}
	return nil
}

// renderCentre crops the image as evaluation does; with crop-flip, each view differently.
func (f *filler) renderCentre(views *[2][]byte, pick, w, h int, r *rand.Rand) error {
	s := f.images.Shape
	if f.change.Augment != data.AugmentCropFlip {
		if err := f.reader.centre(f.picture(views[0]), w, h, f.images.photos.resize, !f.o.Augment); err != nil {
			return err
		}
		copy(views[1], views[0])
		return nil
	}
	if f.whole == nil {
		f.whole = make([]byte, s.Size())
	}
	if err := f.reader.centre(f.picture(f.whole), w, h, f.images.photos.resize, !f.o.Augment); err != nil {
		return err
	}
	for _, out := range views {
		if out != nil {
			f.cropFlip(out, f.whole, pick, r)
		}
	}
	return nil
}

func (f *filler) flip(out []byte, r *rand.Rand) {
	if r.Float64() < f.change.Flip {
		mirror(out, f.images.Shape)
	}
}
