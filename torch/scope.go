package torch

// Scope owns the temporaries of one piece of work and says in which grad mode its operations run.
//
// A scope belongs to one goroutine at a time. Close frees what was not freed or kept before.
type Scope struct {
	grad   bool
	device Device
	live   []*handle
}

// Mode says whether a scope's operations are recorded for [Scope.Grad].
type Mode bool

const (
	Grad   Mode = true  // record
	NoGrad Mode = false // do not record
)

// NewScope opens a scope on the CPU.
func NewScope(mode Mode) *Scope { return NewScopeOn(CPU, mode) }

// NewScopeOn opens a scope whose new tensors are placed on device.
func NewScopeOn(device Device, mode Mode) *Scope { return &Scope{grad: bool(mode), device: device} }

// Close frees every tensor that the scope still owns. It may be called again.
func (s *Scope) Close() {
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
