package data

import (
	"errors"
	"fmt"
	"sync"

	"github.com/locus-learn/locus/internal/fault"
)

// ErrBroken is wrapped by the fault with which a loader stops when more images cannot be read than data.broken allows.
var ErrBroken = errors.New("too many images cannot be read")

// broken is an image that cannot be read, and why.
type broken struct {
	title string
	err   error
}

// health counts the images of a part that cannot be read, whichever loader finds them.
type health struct {
	mu     sync.Mutex
	part   string
	images int
	most   int // how many may be broken
	check  string
	named  map[string]bool
	notice func(string) // nil where nobody listens
}

// watch has images counted that cannot be read. Those in memory have been read.
func (s *spec) watch(m *Images, part string, o Options) {
	if m.photos == nil {
		return
	}
	m.photos = m.photos.with(m.photos.files)
	m.photos.health = &health{
		part: part, images: m.Len(), most: o.Broken.Count(m.Len()), named: map[string]bool{},
		check: "locus data check " + s.name,
	}
}

// OnBroken has notice called with a line for each image that cannot be read, once, when a loader comes across it.
func (s *Set) OnBroken(notice func(string)) {
	for _, m := range []Images{s.Train, s.Validation, s.Test} {
		if m.photos != nil && m.photos.health != nil {
			m.photos.health.notice = notice
		}
	}
}

// report names each image once, and returns a fault that wraps ErrBroken once they are too many.
func (h *health) report(found []broken) error {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range found {
		if h.named[b.title] {
			continue
		}
		h.named[b.title] = true
		if n := len(h.named); n > h.most {
			return fault.New("%w: %d of %d %s images, where data.broken allows %d; the last one: %s %v; '%s' lists them all",
				ErrBroken, n, h.images, h.part, h.most, b.title, b.err, h.check)
		}
		if h.notice != nil {
			h.notice(fmt.Sprintf("%s %v: it is left out", b.title, b.err))
		}
	}
	return nil
}
