package torch

// Scope owns the temporaries of one piece of work and says in which grad mode its operations run.
//
// A scope that does not record belongs to one goroutine at a time, one that records to the goroutine that opened it, which
// stays on its thread until it closes the scope: autograd numbers what it records thread by thread and goes back in the order
// of these numbers. A pass that changed threads would add up gradients in another order, or lay them out in another one.
//
// Close frees what was not freed or kept before.
type Scope struct {
	grad   bool
	device Device
	live   []*handle
	unpin  func() // nil for one that does not record
}

// Mode says whether a scope's operations are recorded for [Scope.Grad].
type Mode bool

const (
	Grad   Mode = true  // record
	NoGrad Mode = false // do not record
)

// NewScope opens a scope on the CPU, for tests. All others take the device of what they work on: [Device.Scope].
func NewScope(mode Mode) *Scope { return CPU.Scope(mode) }

// NewScopeOn is [Device.Scope].
func NewScopeOn(device Device, mode Mode) *Scope { return device.Scope(mode) }

// Scope opens a scope that places new tensors on the device.
func (d Device) Scope(mode Mode) *Scope {
	s := &Scope{grad: bool(mode), device: d}
	if mode == Grad {
		s.unpin = Pin()
	}
	return s
}

// Close frees every tensor that the scope still owns. It may be called again.
func (s *Scope) Close() {
	if s.unpin != nil {
		s.unpin()
		s.unpin = nil
	}
	for _, h := range s.live {
		h.drop()
	}
	s.live = nil
}

// Adopt makes the scope the owner of a kept tensor and returns it.
func (s *Scope) Adopt(t Tensor) Tensor {
	t.h.leave()
	s.own(t.h)
	return t
}

func (s *Scope) own(h *handle) {
	h.scope, h.index = s, len(s.live)
	s.live = append(s.live, h)
}
