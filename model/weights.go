package model

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/safetensors"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/torchfile"
)

// Weights are the tensors of a file, which are read one by one: a checkpoint of ours, or published weights, in safetensors or
// as torch.save writes a state dict. Nothing in the file is believed before it is compared with what it is to fill. All errors that
// the file causes are faults with its name.
type Weights struct {
	path string
	file source
}

// OpenWeights reads and checks the header of the file at path. The caller closes the weights.
func OpenWeights(path string) (*Weights, error) {
	var file source
	var err error
	if isTorch(path) {
		file, err = torchfile.Open(path)
	} else {
		file, err = safetensors.Open(path)
	}
	if err != nil {
		return nil, err
	}
	return &Weights{path, file}, nil
}

// isTorch reports whether a file is PyTorch's own, by its name or because it is a zip archive.
func isTorch(path string) bool {
	if slices.Contains([]string{".pth", ".pt", ".bin"}, strings.ToLower(filepath.Ext(path))) {
		return true
	}
	f, err := disk.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	start := make([]byte, 4)
	_, err = f.ReadAt(start, 0)
	return err == nil && string(start) == "PK\x03\x04"
}

// Close releases the file.
func (w *Weights) Close() error { return w.file.Close() }

// Path returns the file's name as it was given.
func (w *Weights) Path() string { return w.path }

// Metadata returns what the file says besides its tensors.
func (w *Weights) Metadata() map[string]string { return w.file.Metadata() }

// Names lists the tensors in the file's order.
func (w *Weights) Names() []string { return w.file.Names() }

// Shape returns the sizes of a tensor's dimensions, and reports whether the file has it.
func (w *Weights) Shape(name string) ([]int64, bool) {
	info, ok := w.file.Info(name)
	return info.Shape, ok
}

// Fits returns a fault unless the file has a tensor of this name and shape, in a type that can be read: F32, F64, BF16,
// I64, U8 or BOOL. It reads no more than the header has told.
func (w *Weights) Fits(name string, shape []int64) error {
	info, ok := w.file.Info(name)
	switch {
	case !ok:
		return fault.New("%s has no tensor %s %v%s", show.Name(w.path), show.Name(name), shape, w.instead(name))
	case !slices.Equal(info.Shape, shape):
		return fault.New("%s: tensor %s is %v, the network's is %v", show.Name(w.path), show.Name(name), info.Shape, shape)
	}
	if _, _, ok := readAs(info.DType); !ok {
		return fault.New("%s: tensor %s is of type %s: must be one of floating point, or of whole numbers", show.Name(w.path), show.Name(name), info.DType)
	}
	return nil
}

// instead names a tensor that goes by a longer name, as wrappers of PyTorch's give it.
func (w *Weights) instead(name string) string {
	for _, have := range w.file.Names() {
		if strings.HasSuffix(have, "."+name) {
			return fmt.Sprintf("; it has %s: take the prefix off its names", show.Name(have))
		}
	}
	return ""
}

// stored is [Weights.Fits] for [nn.Init]. Where a head takes the classifier's place, the file lacks that, and nobody needs it.
func (w *Weights) stored(lastHead bool) func(name string, shape []int64) error {
	return func(name string, shape []int64) error {
		if _, there := w.file.Info(name); lastHead && !there && !IsLocal(name) {
			return nn.ErrSpare
		}
		return w.Fits(name, shape)
	}
}

// Read copies the tensor of a name over t, whose shape it must have; t keeps its type, device and layout. A tensor with an
// element that is NaN or infinite is a fault.
func (w *Weights) Read(name string, t torch.Tensor) error {
	if err := w.Fits(name, t.Shape()); err != nil {
		return err
	}
	info, _ := w.file.Info(name)
	dtype, wide, _ := readAs(info.DType)
	if floating(t.DType()) && !floating(dtype) {
		return fault.New("%s: tensor %s is of type %s: must be a floating one, F32, F64, F16 or BF16, for weights",
			show.Name(w.path), show.Name(name), info.DType)
	}
	bytes, err := w.bytes(name)
	if err != nil {
		return err
	}
	s := torch.CPU.Scope(torch.NoGrad)
	defer s.Close()
	values := s.FromBytes(dtype, wide(bytes), info.Shape...)
	if i := negative(name, values); i >= 0 {
		return fault.New("%s: tensor %s is negative at element %d: no variance is; the file is damaged, or its tensors have other names",
			show.Name(w.path), show.Name(name), i)
	}
	t.Copy(values)
	return nil
}

// bytes reads a tensor and refuses one that is not finite.
func (w *Weights) bytes(name string) ([]byte, error) {
	info, _ := w.file.Info(name)
	bytes, err := w.file.Read(name)
	if err != nil {
		return nil, err
	}
	if i := notFinite(info.DType, bytes); i >= 0 {
		return nil, fault.New("%s: tensor %s is not finite at element %d: these weights are from a run that diverged; use an earlier checkpoint",
			show.Name(w.path), show.Name(name), i)
	}
	return bytes, nil
}

// negative returns the first element below 0 of a running variance, whose root would be NaN; -1 of any other tensor.
func negative(name string, values torch.Tensor) int {
	if !strings.HasSuffix(name, ".running_var") {
		return -1
	}
	return slices.IndexFunc(values.Float64s(), func(v float64) bool { return v < 0 })
}

func floating(t torch.DType) bool { return t != torch.Int64 && t != torch.Uint8 && t != torch.Bool }

// Fill reads a tensor of the file into each parameter and buffer, by its name. Unless all fit, none is changed.
func (w *Weights) Fill(params []*nn.Param) error {
	for _, p := range params {
		if err := w.Fits(p.Name, p.Value.Shape()); err != nil {
			return err
		}
	}
	for _, p := range params {
		if err := w.Read(p.Name, p.Value); err != nil {
			return err
		}
	}
	return nil
}
