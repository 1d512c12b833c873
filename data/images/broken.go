package images

import (
	"fmt"
	"sync"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
)

// broken is an image that cannot be read, and why.
type broken struct {
	title string
	err   error
}

// brokenCount counts the images of a part that cannot be read, whichever loader finds them.
type brokenCount struct {
	mu     sync.Mutex
	part   string
	images int
	most   int // how many may be broken
	check  string
	named  map[string]bool
	notice func(string) // nil where nobody listens
}

// Tolerate is as [data.Tolerant] says. Images in memory have been read.
func (m Images) Tolerate(part data.Part, most data.Portion) data.Samples {
	if m.photos == nil {
		return m
	}
	m.photos = m.photos.with(m.photos.files)
	m.photos.broken = &brokenCount{
		part: part.Word(), images: m.Len(), most: most.Count(m.Len()), named: map[string]bool{},
		check: "locus data check " + m.photos.set,
	}
	return m
}

// OnBroken is as [data.Tolerant] says.
func (m Images) OnBroken(notice func(string)) {
	if m.photos != nil && m.photos.broken != nil {
		m.photos.broken.notice = notice
	}
}

// report names each image once, and returns a fault that wraps data.ErrBroken once they are too many.
func (h *brokenCount) report(found []broken) error {
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
				data.ErrBroken, n, h.images, h.part, h.most, b.title, b.err, h.check)
		}
		if h.notice != nil {
			h.notice(fmt.Sprintf("%s %v: it is left out", b.title, b.err))
		}
	}
	return nil
}
