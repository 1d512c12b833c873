// Package store keeps what the modules of a network hold while they are not in memory: in files, or in host memory beside
// a device.
package store

import (
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/safetensors"
	"github.com/locus-learn/locus/torch"
)

// tensor describes a tensor to the format's writer, which asks load for its bytes when their turn comes.
func tensor(name string, t torch.Tensor, load func(buffer *[]byte) ([]byte, error)) safetensors.Tensor {
	return safetensors.Tensor{Name: name, DType: safetensors.DType(t.DType().Code()), Shape: t.Shape(), Load: load}
}

// Memory is a [local.Store] in the host's memory.
type Memory struct{ modules []map[string][]byte }

// NewMemory returns a store for so many modules.
func NewMemory(modules int) *Memory { return &Memory{make([]map[string][]byte, modules)} }

// Save implements [local.Store].
func (s *Memory) Save(m *local.Module) error {
	kept := s.modules[m.Index-1]
	if kept == nil {
		kept = map[string][]byte{}
		s.modules[m.Index-1] = kept
	}
	for _, h := range m.Held() {
		kept[h.Name] = h.Value.DataInto(kept[h.Name])
	}
	return nil
}

// Load implements [local.Store].
func (s *Memory) Load(m *local.Module) error {
	for _, h := range m.Held() {
		h.Value.Return(s.modules[m.Index-1][h.Name], h.Leaf)
	}
	return nil
}

// Ahead implements [local.Store].
func (*Memory) Ahead(*local.Module) {}

// Read implements [local.Store].
func (s *Memory) Read(m *local.Module, name string, _ *[]byte) ([]byte, error) {
	data, ok := s.modules[m.Index-1][name]
	if !ok {
		return nil, fault.New("module %d holds no %s", m.Index, name)
	}
	return data, nil
}

// bytes that a module holds.
func bytes(m *local.Module) (sum int64) {
	for _, h := range m.Held() {
		sum += h.Value.Bytes()
	}
	return sum
}
