package model

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Adoption says what became of a network's tensors, and of those of the file that it was started from.
type Adoption struct {
	Names   []string // what was done to the file's names, such as "without module."
	Taken   int      // tensors of the network that are the file's
	Resized []string // that are the file's in another size, with both
	Fresh   []string // layers that start anew, with why
	Heads   []int    // modules, from 1, whose heads start anew, the last one's by its last layer
	Left    []string // tensors of the file that have no place in the network, and need none
}

// Lines are the adoption as four lines of two columns, with a tab between them.
func (a Adoption) Lines() []string {
	count := func(list []string) string {
		if len(list) == 0 {
			return "0"
		}
		return fmt.Sprintf("%d: %s", len(list), show.Line(strings.Join(list[:min(3, len(list))], "; "))+map[bool]string{true: "; …"}[len(list) > 3])
	}
	taken := fmt.Sprintf("%d tensors", a.Taken)
	if len(a.Names) > 0 {
		taken += ", " + strings.Join(a.Names, ", ")
	}
	return []string{"taken\t" + taken, "resized\t" + count(a.Resized), "fresh\t" + count(a.Fresh), "left over\t" + count(a.Left)}
}

// InitFrom overwrites a model's weights by those of a file: one of our checkpoints, whatever its cuts, or published weights
// under the names of PyTorch, timm or Hugging Face. Position embeddings and the tables of windows are resized. Local heads
// that the file lacks or, because the cuts moved, has in another shape stay as they are; so does the classifier's last layer
// where the file has none or one for other classes. Any other difference is a fault that names the first tensor and both
// shapes, and changes nothing.
func (m *Model) InitFrom(path string) (Adoption, error) {
	return m.InitBy(path, nil, func(fill func(*local.Module) error) error { return m.Each(true, fill) })
}

// InitBy is [Model.InitFrom] for a model that is not begun yet, or whose modules are not all in memory: each hands every
// module to fill while it is. others, unless nil, tells by the file's metadata whether its classes are others than the
// network's, though perhaps as many: then classifier and heads start fresh.
func (m *Model) InitBy(path string, others func(meta map[string]string) bool, each func(fill func(*local.Module) error) error) (a Adoption, err error) {
	w, err := OpenWeights(path)
	if err != nil {
		return a, err
	}
	defer w.Close()
	names := translate(w.file)
	w.file = names
	a.Names = names.told
	taken, resized := map[*nn.Param]bool{}, map[*nn.Param]bool{}
	other := others != nil && others(w.Metadata())
	known, heads := map[string]bool{}, w.misfits(m.Params(), other)
	last := m.lastLayer()
	for _, p := range m.Params() {
		known[p.Name] = true
		info, there := w.file.Info(p.Name)
		shape := p.Value.Shape()
		_, fits := resizes(p.Name, info.Shape, shape)
		switch {
		case IsLocal(p.Name) && slices.Contains(heads, headOf(p.Name)):
		case made(p.Name, there): // the network makes them itself
		case slices.Contains(last, p) && (other || !w.fitsAll(last)):
			a.Fresh = append(a.Fresh, otherClasses(p.Name, shape, info.Shape, there))
		case there && !slices.Equal(info.Shape, shape) && fits:
			resized[p] = true
			a.Resized = append(a.Resized, fmt.Sprintf("%s %v → %v", p.Name, info.Shape, shape))
		default:
			taken[p] = true
		}
	}
	for _, p := range m.Params() {
		if !taken[p] {
			continue
		}
		if err := w.Fits(p.Name, p.Value.Shape()); err != nil {
			return a, err
		}
	}
	for _, name := range w.Names() {
		if !known[name] && !IsLocal(name) {
			shape, _ := w.Shape(name)
			return a, fault.New("%s: tensor %s %v has no place in the network", show.Name(path), show.Name(name), shape)
		}
		if !known[name] {
			a.Left = append(a.Left, name)
		}
	}
	for _, head := range heads {
		a.Fresh = append(a.Fresh, head+" (a local head)")
	}
	a.Heads = m.newHeads(heads, other || !w.fitsAll(last))
	a.Taken, a.Left = len(taken), append(a.Left, names.dropped...)
	return a, each(func(module *local.Module) error {
		if err := w.Fill(slices.DeleteFunc(slices.Clone(module.Params), func(p *nn.Param) bool { return !taken[p] })); err != nil {
			return err
		}
		for _, p := range module.Params {
			if !resized[p] {
				continue
			}
			if err := w.fillResized(p); err != nil {
				return err
			}
		}
		return nil
	})
}

// newHeads lists the modules whose heads start anew: those with local heads of the given names, and the last one if its
// classifier does.
func (m *Model) newHeads(heads []string, classifier bool) (all []int) {
	for _, module := range m.Modules() {
		own := slices.Contains(heads, fmt.Sprint(localHeads, ".", module.Index))
		if own || module.Last && !m.LastHead && classifier {
			all = append(all, module.Index)
		}
	}
	return all
}

// made reports whether a buffer needs no file: counters that older PyTorch did not save, and indices that follow from a
// window's size.
func made(name string, there bool) bool {
	return !there && strings.HasSuffix(name, ".num_batches_tracked") || strings.HasSuffix(name, ".relative_position_index")
}

// lastLayer is weight and bias of the classifier's last linear layer, which has a row a class.
func (m *Model) lastLayer() []*nn.Param {
	params := nn.Params(m.Net.Classifier)
	for i := len(params) - 1; i >= 0; i-- {
		if shape := params[i].Value.Shape(); len(shape) == 2 && int(shape[0]) == m.Net.Classes && strings.HasSuffix(params[i].Name, "weight") {
			return params[i:]
		}
	}
	return nil
}

// fitsAll reports whether the file has all of some parameters in their shapes; also where it has them in shapes that differ in
// more than the classes, which is not for them to say.
func (w *Weights) fitsAll(params []*nn.Param) bool {
	for _, p := range params {
		has, there := w.Shape(p.Name)
		want := p.Value.Shape()
		if !there || len(has) == len(want) && has[0] != want[0] && slices.Equal(has[1:], want[1:]) {
			return false
		}
	}
	return true
}

func otherClasses(name string, want, has []int64, there bool) string {
	if !there {
		return name + " (the file has none)"
	}
	if want[0] == has[0] {
		return name + " (the file has other classes)"
	}
	return fmt.Sprintf("%s (%d classes, the file has %d)", name, want[0], has[0])
}

// fillResized reads a tensor that is made for another image or window.
func (w *Weights) fillResized(p *nn.Param) error {
	info, _ := w.file.Info(p.Name)
	bytes, err := w.bytes(p.Name)
	if err != nil {
		return err
	}
	dtype, wide, ok := readAs(info.DType)
	if !ok {
		return w.Fits(p.Name, info.Shape)
	}
	s := torch.CPU.Scope(torch.NoGrad)
	defer s.Close()
	rows := make([]float32, 0, len(bytes)/4)
	raw := s.Cast(s.FromBytes(dtype, wide(bytes), info.Shape...), torch.Float32).Data()
	for ; len(raw) > 0; raw = raw[4:] {
		rows = append(rows, math.Float32frombits(binary.LittleEndian.Uint32(raw)))
	}
	r, _ := resizes(p.Name, info.Shape, p.Value.Shape())
	p.Value.Copy(s.FromFloats(r.resize(rows), p.Value.Shape()...))
	return nil
}

// misfits lists the local heads of which a tensor is not in the file, or not in its shape, or that are for other classes.
func (w *Weights) misfits(params []*nn.Param, other bool) (heads []string) {
	for _, p := range params {
		shape, there := w.Shape(p.Name)
		fits := there && slices.Equal(shape, p.Value.Shape()) && !(other && strings.HasPrefix(p.Name, localHeads+"."))
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
