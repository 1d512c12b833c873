package local

import (
	"context"
	"runtime/pprof"
	"sync"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/torch"
)

// Residents decides which modules of a network are in memory: at most so many, of which one is in use. The others lie in a
// [Store]. A nil *Residents keeps all.
//
// Modules are used in the order of the network, over and over. So all but the last two places belong to the first modules
// for good, and through the last two the others come and go: while one is in use, a goroutine saves the one before and
// loads the one behind. With a single place a module is saved before the next one is loaded, and the store only hears of
// what comes next.
//
// Several goroutines may use modules of a network that only infers: one at a time does. All else belongs to one goroutine.
type Residents struct {
	modules []*Module
	store   Store
	places  int
	stay    int // the first so many modules never leave

	use    sync.Mutex // by one at a time
	jobs   chan func()
	mover  sync.WaitGroup
	ahead  *coming // nil: nothing
	saving []*coming
	err    error // the first one, for good
}

// coming is a module on its way, in or out.
type coming struct {
	at   int
	done chan struct{}
	err  error // once done
}

// NewResidents lets at most places modules be in memory, at least one. Until [Residents.Begin] none has values. The caller
// closes it when no module is in use.
func NewResidents(modules []*Module, places int) *Residents {
	r := &Residents{modules: modules, places: places, stay: max(0, places-2), jobs: make(chan func(), 2*len(modules))}
	if places >= len(modules) {
		r.stay = len(modules)
	}
	label := pprof.Labels("local/residents", "mover")
	r.mover.Go(func() {
		pprof.Do(context.Background(), label, func(context.Context) {
			torch.PinTeam(1)
			for job := range r.jobs {
				job()
			}
		})
	})
	return r
}

// Begin brings the modules to where a run starts, one after the other, so that no more than one is in memory beside those
// that stay: parameters get the values that they begin with, build makes the optimizer (nil for a network that only infers),
// fill overwrites what it wants to, and the module goes into the store, which may be nil if all stay.
//
// Without fill the store has all modules already: it is only read from.
func (r *Residents) Begin(store Store, build func([]*nn.Param) optim.Optimizer, fill func(*Module) error) (err error) {
	defer torch.Catch(&err)
	r.store = store
	for i, m := range r.modules {
		if fill == nil {
			if i < r.stay {
				err = store.Load(m)
			}
		} else {
			err = r.make(i, build, fill)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *Residents) make(i int, build func([]*nn.Param) optim.Optimizer, fill func(*Module) error) error {
	m := r.modules[i]
	for _, p := range m.Params {
		p.Begin()
	}
	m.Refresh(build)
	if err := fill(m); err != nil {
		return err
	}
	if i < r.stay {
		return nil
	}
	defer m.leave()
	return r.store.Save(m)
}

// Use calls do while the i-th module is in memory. changed says that do changes what the module holds. After an error of the
// store the residents are good for nothing but [Residents.Close].
func (r *Residents) Use(i int, changed bool, do func() error) error {
	if r == nil || i < r.stay {
		return do()
	}
	r.use.Lock()
	defer r.use.Unlock()
	if err := r.bring(i); err != nil {
		return err
	}
	r.expect(r.behind(i))
	err := do()
	return r.release(i, changed, err)
}

// behind returns the module that is used after the i-th, of those that come and go.
func (r *Residents) behind(i int) int {
	if i++; i == len(r.modules) {
		i = r.stay
	}
	return i
}

// single reports whether there is room for the module in use alone.
func (r *Residents) single() bool { return r.places-r.stay < 2 }

// bring sees to it that the i-th module is in memory.
func (r *Residents) bring(i int) error {
	c := r.ahead
	if r.ahead = nil; c != nil {
		r.wait(c)
		r.saved(false)
		if r.err == nil && c.at == i {
			return nil
		}
		r.modules[c.at].leave() // not the one that was expected
	}
	if r.saved(true); r.err == nil {
		r.err = r.load(i)
	}
	return r.err
}

func (r *Residents) load(i int) (err error) {
	defer torch.Catch(&err)
	return r.store.Load(r.modules[i])
}

// expect loads the module that is used next, if there is room, once what leaves before it has left.
func (r *Residents) expect(i int) {
	if r.single() {
		r.jobs <- func() { r.store.Ahead(r.modules[i]) }
		return
	}
	r.ahead = r.later(i, r.load)
}

// later lets the mover do something with the i-th module.
func (r *Residents) later(i int, do func(i int) error) *coming {
	c := &coming{at: i, done: make(chan struct{})}
	r.jobs <- func() {
		defer close(c.done)
		c.err = do(i)
	}
	return c
}

// release lets the i-th module go after its use, which ended with err.
func (r *Residents) release(i int, changed bool, err error) error {
	leave := func(i int) (err error) {
		defer torch.Catch(&err)
		if changed {
			err = r.store.Save(r.modules[i])
		}
		r.modules[i].leave()
		return err
	}
	if r.single() {
		if failed := leave(i); err == nil {
			r.err, err = failed, failed
		}
		return err
	}
	r.saving = append(r.saving, r.later(i, leave))
	return err
}

// wait waits for a module on its way and notes the first error.
func (r *Residents) wait(c *coming) {
	if <-c.done; r.err == nil {
		r.err = c.err
	}
}

// saved takes note of the modules that have been saved, or waits for all.
func (r *Residents) saved(all bool) {
	for len(r.saving) > 0 {
		select {
		case <-r.saving[0].done:
		default:
			if !all {
				return
			}
		}
		r.wait(r.saving[0])
		r.saving = r.saving[1:]
	}
}

// Settle waits until nothing moves, and returns the first error of the store. Who looks at modules that he does not use,
// at their bytes for instance, settles them first.
func (r *Residents) Settle() error {
	if r == nil {
		return nil
	}
	if r.ahead != nil {
		r.wait(r.ahead)
	}
	r.saved(true)
	return r.err
}

// Read returns the elements of a tensor that the i-th module holds, wherever they are: contiguous, little-endian, and to be
// read before the buffer is used again or training goes on.
func (r *Residents) Read(i int, h Held, buffer *[]byte) ([]byte, error) {
	if r == nil || i < r.stay {
		return h.Value.Elements(buffer), nil
	}
	if err := r.Settle(); err != nil {
		return nil, err
	}
	return r.store.Read(r.modules[i], h.Name, buffer)
}

// Close waits until nothing moves any more. It may be called again.
func (r *Residents) Close() {
	if r == nil || r.jobs == nil {
		return
	}
	close(r.jobs)
	r.mover.Wait()
	r.jobs = nil
}
