package store

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/safetensors"
	"github.com/locus-learn/locus/torch"
)

// metaPlace is the key of a file's metadata that says where in a visit a signal waits.
const metaPlace = "locus.place"

// Queue is a [local.Queue] in a folder, one file a place. A goroutine writes what was put while the next batch trains, and
// reads what is taken next. So two signals are in the host's memory, one on its way out and one on its way in, and none of
// them in tensors. Files are for this process alone: see [Disk].
type Queue struct {
	dir, owner    string
	device        torch.Device
	read, written atomic.Int64

	jobs   chan func()
	mover  sync.WaitGroup
	out    *passage // on its way to a file, or the last one that was; nil before the first
	ahead  *passage // on its way from a file; nil for none
	spare  *kept    // buffers for the next one that is read
	places map[int]bool
	err    error // the first one, for good
}

// passage is a signal on its way.
type passage struct {
	place int
	kept  *kept
	done  chan struct{}
	err   error // once done
}

// NewQueue returns a queue in a folder that exists and that nobody else writes to, of signals on a device. The caller closes
// it.
func NewQueue(dir string, device torch.Device) *Queue {
	q := &Queue{
		dir: dir, owner: strconv.FormatUint(rand.Uint64(), 36), device: device, jobs: make(chan func(), 2), places: map[int]bool{},
		out: &passage{kept: &kept{}, done: make(chan struct{})}, spare: &kept{},
	}
	close(q.out.done)
	q.mover.Go(func() {
		pprof.Do(context.Background(), pprof.Labels("store/queue", "mover"), func(context.Context) {
			for job := range q.jobs {
				job()
			}
		})
	})
	return q
}

// QueueNames lists the files that a queue of so many places may write, below its folder.
func QueueNames(places int) (names []string) {
	for i := range places {
		names = append(names, signalName(i))
	}
	return names
}

func signalName(place int) string { return fmt.Sprintf("signal-%04d.safetensors", place) }

func (q *Queue) path(place int) string { return filepath.Join(q.dir, signalName(place)) }

// start lets the mover do something with a passage.
func (q *Queue) start(p *passage, do func(*passage) error) {
	p.done = make(chan struct{})
	q.jobs <- func() {
		defer close(p.done)
		p.err = do(p)
	}
}

// wait waits for a passage and notes the first error.
func (q *Queue) wait(p *passage) error {
	<-p.done
	q.err = cmp.Or(q.err, p.err)
	return q.err
}

// Put implements [local.Queue]. It waits until the signal before is written.
func (q *Queue) Put(place int, s local.Signal) (err error) {
	defer torch.Catch(&err)
	if err := q.wait(q.out); err != nil {
		s.Free()
		return err
	}
	q.out.kept.copy(s)
	q.out.place, q.places[place] = place, true
	q.start(q.out, q.write)
	return nil
}

// Take implements [local.Queue].
func (q *Queue) Take(place, next int) (s local.Signal, err error) {
	defer torch.Catch(&err)
	p := q.ahead
	if q.ahead = nil; p == nil || p.place != place {
		if p != nil {
			<-p.done
		}
		p = q.expect(place)
	}
	if err := q.wait(p); err != nil {
		return s, err
	}
	s = p.kept.signal(q.device)
	if q.spare = p.kept; next >= 0 {
		q.ahead = q.expect(next)
	}
	return s, nil
}

// expect starts to read the signal at a place, behind what is being written.
func (q *Queue) expect(place int) *passage {
	p := &passage{place: place, kept: q.spare}
	q.start(p, q.load)
	return p
}

func (q *Queue) write(p *passage) error {
	meta := map[string]string{metaOwner: q.owner, metaPlace: strconv.Itoa(p.place)}
	err := disk.Scratch(q.path(p.place), func(w io.Writer) error {
		return safetensors.WriteTo(counter{w, &q.written}, p.kept.tensors(), meta)
	})
	cause, ok := disk.Cause(err)
	if err == nil || !ok {
		return err
	}
	return fault.New("a signal of %.1f MiB cannot be kept in %q while it waits for a module: %w; method.spill names another folder, and method.signals=memory needs none",
		float64(p.kept.bytes())/(1<<20), q.dir, cause)
}

func (q *Queue) load(p *passage) error {
	path := q.path(p.place)
	f, err := safetensors.Open(path)
	if err != nil {
		return lost(err)
	}
	defer f.Close()
	if meta := f.Metadata(); meta[metaOwner] != q.owner || meta[metaPlace] != strconv.Itoa(p.place) {
		return fault.New("%s is not the signal that this run keeps there: somebody has replaced it; --resume goes on from the last checkpoint", path)
	}
	if err := p.kept.read(f); err != nil {
		return lost(err)
	}
	q.read.Add(p.kept.bytes())
	return nil
}

// Settle implements [local.Queue].
func (q *Queue) Settle() error {
	if q.ahead != nil {
		_ = q.wait(q.ahead)
	}
	return q.wait(q.out)
}

// Traffic returns how many bytes have been read and written so far.
func (q *Queue) Traffic() (read, written int64) { return q.read.Load(), q.written.Load() }

// Close waits until nothing moves any more, and removes the queue's files, but none that somebody has put in their place.
// The folder stays.
func (q *Queue) Close() error {
	close(q.jobs)
	q.mover.Wait()
	for place := range q.places {
		if err := removeOwn(q.path(place), q.owner); err != nil {
			return err
		}
	}
	return nil
}
