package images

import (
	"context"
	"fmt"
	"runtime"
	"runtime/pprof"
	"strconv"
	"sync"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
)

// checkPhotos decodes every image of the set in dir once.
func (s *spec) checkPhotos(ctx context.Context, dir string) (data.Report, error) {
	set := &source{info: data.Info{Name: s.name, Dir: dir}}
	if err := s.openPhotos(set, data.Options{Set: s.name}); err != nil {
		return data.Report{}, err
	}
	r := data.Report{Name: s.name, Dir: dir, Classes: set.info.Classes, MultiLabel: set.info.MultiLabel, Notes: set.info.Notes, Status: data.Complete}
	for _, p := range []struct {
		part   *data.PartReport
		images Images
	}{{&r.Train, set.train}, {&r.Test, set.test}} {
		problems, err := decodeAll(ctx, p.images.photos)
		if err != nil {
			return data.Report{}, err
		}
		*p.part = data.PartReport{Official: p.images.Len(), PerClass: make([]int, len(set.info.Classes))}
		for i, problem := range problems {
			if problem != nil {
				r.Unreadable = append(r.Unreadable, fmt.Sprintf("%s %v", p.images.photos.title(i), problem))
				continue
			}
			p.part.Images++
			if !p.images.MultiLabel() {
				p.part.PerClass[p.images.Labels[i]]++
				continue
			}
			for _, class := range p.images.Sets[i] {
				p.part.PerClass[class]++
			}
			if len(p.images.Sets[i]) == 0 {
				p.part.Without++
			}
		}
		if n := p.part.Official - p.part.Images; n > 0 {
			r.Status = data.Broken
			p.part.Problem = fault.New("%d of %d images cannot be decoded", n, p.part.Official)
		}
	}
	return r, nil
}

// decodeAll returns why each image cannot be decoded; nil where it can. It runs a goroutine a core, labelled
// data/check=0, 1, … for pprof, and waits for them.
func decodeAll(ctx context.Context, p *photos) ([]error, error) {
	problems := make([]error, len(p.files))
	workers := runtime.GOMAXPROCS(0)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			pprof.Do(ctx, pprof.Labels("data/check", strconv.Itoa(w)), func(ctx context.Context) {
				var l reader
				defer l.close()
				for i := w; i < len(p.files) && ctx.Err() == nil; i += workers {
					if _, _, problems[i] = l.load(p, i); problems[i] == nil {
						_, _, problems[i] = l.decode(1)
					}
				}
			})
		})
	}
	group.Wait()
	return problems, ctx.Err()
}
