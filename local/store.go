package local

import (
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/torch"
)

// Store keeps what modules hold while they are not in memory. Its methods are called by one goroutine at a time for each
// module, and for different modules from several at once. Errors that a user can mend are faults.
type Store interface {
	// Save keeps the elements of all that a module holds, in place of what was saved of it before.
	Save(m *Module) error
	// Load gives them back to the module's tensors, which are away: see [torch.Tensor.Return].
	Load(m *Module) error
	// Ahead says that a module will be loaded soon. It does not wait.
	Ahead(m *Module)
	// Read returns the saved elements of one of a module's tensors, contiguous and little-endian, to be read only. They are
	// good until the module is saved again or the buffer is used again, which grows where it is needed and too small.
	Read(m *Module, name string, buffer *[]byte) ([]byte, error)
}

// Held is a tensor that a module holds between steps.
type Held struct {
	Name  string
	Value torch.Tensor
	Leaf  bool // autograd follows it
}

// Held lists all that a module holds between steps: parameters, buffers and the optimizer's state. Names are unique.
func (m *Module) Held() []Held {
	var all []Held
	for _, p := range m.Params {
		all = append(all, Held{p.Name, p.Value, p.Trainable})
	}
	for _, s := range m.state() {
		all = append(all, Held{Name: s.Name, Value: s.Value})
	}
	return all
}

// state lists that of the optimizer, if the module has one.
func (m *Module) state() []optim.State {
	if m.Optim == nil {
		return nil
	}
	return m.Optim.State()
}

// leave frees the elements of all that the module holds.
func (m *Module) leave() {
	for _, h := range m.Held() {
		h.Value.Leave()
	}
}
