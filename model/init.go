package model

import (
	"slices"
	"strings"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
)

// InitFrom overwrites a model's weights by those of a safetensors file: one of our checkpoints, whatever its cuts, or
// published weights under PyTorch's names. It returns the local heads that the file lacks or, because the cuts moved, has
// in another shape; they stay as they are. Any other difference is a fault that names the first tensor and both shapes, and
// changes nothing.
func (m *Model) InitFrom(path string) (fresh []string, err error) {
	return m.InitBy(path, func(fill func(*local.Module) error) error { return m.Each(true, fill) })
}

// InitBy is [Model.InitFrom] for a model that is not begun yet, or whose modules are not all in memory: each hands every
// module to fill while it is.
func (m *Model) InitBy(path string, each func(fill func(*local.Module) error) error) (fresh []string, err error) {
	w, err := OpenWeights(path)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	fresh = w.misfits(m.Params())
	taken := map[*nn.Param]bool{}
	known := map[string]bool{}
	for _, p := range m.Params() {
		known[p.Name] = true
		_, there := w.Shape(p.Name)
		switch {
		case IsLocal(p.Name) && slices.Contains(fresh, headOf(p.Name)):
		case !there && strings.HasSuffix(p.Name, ".num_batches_tracked"): // older PyTorch did not save it
		default:
			taken[p] = true
		}
	}
	for _, p := range m.Params() {
		if !taken[p] {
			continue
		}
		if err := w.Fits(p.Name, p.Value.Shape()); err != nil {
			return nil, err
		}
	}
	for _, name := range w.Names() {
		if !known[name] && !IsLocal(name) {
			shape, _ := w.Shape(name)
			return nil, fault.New("%s: tensor %s %v has no place in the network", show.Name(path), show.Name(name), shape)
		}
	}
	return fresh, each(func(module *local.Module) error {
		return w.Fill(slices.DeleteFunc(slices.Clone(module.Params), func(p *nn.Param) bool { return !taken[p] }))
	})
}

// misfits lists the local heads of which a tensor is not in the file, or not in its shape.
func (w *Weights) misfits(params []*nn.Param) (heads []string) {
	for _, p := range params {
		shape, there := w.Shape(p.Name)
		fits := there && slices.Equal(shape, p.Value.Shape())
		if IsLocal(p.Name) && !fits && !slices.Contains(heads, headOf(p.Name)) {
			heads = append(heads, headOf(p.Name))
		}
	}
	return heads
}

// IsLocal reports whether a tensor belongs, by its name, to a local head, a decoder or a module's fixed feedback. They come
// and go with the cuts and the method.
func IsLocal(name string) bool {
	prefix, _, _ := strings.Cut(name, ".")
	return slices.Contains([]string{"heads", "decoders", "feedback"}, prefix)
}

// headOf shortens heads.2.conv.weight to heads.2.
func headOf(name string) string { return strings.Join(strings.SplitN(name, ".", 3)[:2], ".") }
