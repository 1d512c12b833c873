package train

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/locus-learn/locus/export"
	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/safetensors"
	"github.com/locus-learn/locus/torch"
)

// ExportOptions say what is written of a network.
type ExportOptions struct {
	Exit  int         // the network up to this module, from 1, with its local head; 0: all of it with its classifier
	DType torch.DType // that floating-point parameters are stored in: Float32, BFloat16 or Float16
}

// Formats lists the endings of the files that a network can be written to.
var Formats = []string{".safetensors", ".onnx", ".pt"}

// Format returns the ending of a path, or a fault if none of [Formats] is meant by it.
func Format(path string) (string, error) {
	ending := strings.ToLower(filepath.Ext(path))
	if !slices.Contains(Formats, ending) {
		return "", fault.New("%s ends in %q: the ending decides what is written, and must be one of %s", show.Name(path), ending, strings.Join(Formats, ", "))
	}
	return ending, nil
}

// Export writes the uncut network, without local heads, or a part of it that exits at one of them. The path's ending decides:
// a plain PyTorch state dict in .safetensors, ONNX, or TorchScript in .pt. The file says in its metadata which classes there
// are, and which images the network takes; so does the model card, path.md.
func (t *Trained) Export(path string, o ExportOptions) error {
	format, err := Format(path)
	if err != nil {
		return err
	}
	if t.Streams() && format != ".safetensors" { // a graph is drawn of layers that are all there
		whole, err := Open(t.Path, "method.resident=0")
		if err != nil {
			return err
		}
		defer whole.Free()
		return whole.Export(path, o)
	}
	layers, err := t.exit(o.Exit)
	if err != nil {
		return err
	}
	if err := t.fits(layers, o.DType); err != nil {
		return err
	}
	about, err := t.about(o)
	if err != nil {
		return err
	}
	if format == ".safetensors" {
		err = t.exportWeights(path, layers, o.DType, about)
	} else {
		err = t.exportGraph(path, format, layers, o.DType, about)
	}
	if err != nil {
		return err
	}
	card := path + CardSuffix
	if err := disk.WriteFile(card, []byte(t.card(path, format, o))); err != nil {
		return unwritable(card, err)
	}
	return nil
}

// exit returns the layers of the network up to an exit. A network that was trained without labels has features, no answers.
func (t *Trained) exit(k int) (layers []nn.Layer, err error) {
	modules := t.Modules()
	unlabelled := t.Views() > 1
	switch {
	case unlabelled && k != 0:
		return nil, fault.New("--exit is %d: must be 0 for %s, which was trained without labels", k, show.Name(t.Path))
	case k < 0 || k > len(modules):
		return nil, fault.New("--exit is %d: must be from 1 to %d, the number of modules, or 0 for the classifier", k, len(modules))
	case k == 0:
		k = len(modules)
	}
	m := modules[k-1]
	if m.Embeds && !unlabelled {
		return nil, fault.New("--exit is %d: the head of that module gives no classes; must be 0", k)
	}
	for _, b := range t.Net.Blocks[:t.Ends[k-1]] {
		layers = append(layers, b.Layer)
	}
	if unlabelled {
		return layers, nil
	}
	return append(layers, m.Head), nil
}

// about is the metadata of an exported file.
func (t *Trained) about(o ExportOptions) (map[string]string, error) {
	about := map[string]string{"format": "pt", "locus.net": t.Net.Name, "locus.exit": fmt.Sprint(o.Exit)}
	for key, v := range map[string]any{
		metaClasses: t.Classes, metaInput: t.Net.Input, "locus.mean": t.set.Mean, "locus.std": t.set.Std,
	} {
		text, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		about[key] = string(text)
	}
	if t.Rule.MultiLabel {
		about[metaMultiLabel] = "true"
	}
	return about, nil
}

// narrow are the types of exported files that do not hold all float32 values, what --dtype calls them, and from where on they round to
// infinity.
var narrow = map[torch.DType]struct {
	name     string
	infinite float64
}{torch.Float16: {"fp16", 65520}, torch.BFloat16: {"bf16", 0x1.ffp127}}

// fits returns a fault if a type cannot hold the network's parameters: they would become infinite without a word.
func (t *Trained) fits(layers []nn.Layer, dtype torch.DType) error {
	stored, ok := narrow[dtype]
	if !ok {
		return nil
	}
	var buffer []byte
	for _, p := range nn.Params(layers...) {
		if p.Value.DType() != torch.Float32 {
			continue
		}
		values, err := t.Stored([]*nn.Param{p})[0].Load(&buffer)
		if err != nil {
			return err
		}
		for i := 0; i+4 <= len(values); i += 4 {
			v := math.Float32frombits(binary.LittleEndian.Uint32(values[i:]))
			if math.Abs(float64(v)) >= stored.infinite {
				return fault.New("tensor %s is %g at element %d, more than --dtype %s holds: bf16 holds up to 3.4e38, and fp32 all",
					show.Name(p.Name), v, i/4, stored.name)
			}
		}
	}
	return nil
}

func (t *Trained) exportWeights(path string, layers []nn.Layer, dtype torch.DType, about map[string]string) error {
	s := torch.CPU.Scope(torch.NoGrad)
	defer s.Close()
	var tensors []safetensors.Tensor
	for _, p := range nn.Params(layers...) {
		stored := t.Stored([]*nn.Param{p})[0]
		if p.Value.DType() == torch.Float32 && dtype != torch.Float32 {
			whole := stored.Load
			stored.DType = model.StoredType(dtype)
			stored.Load = func(buffer *[]byte) ([]byte, error) {
				data, err := whole(buffer)
				if err != nil {
					return nil, err
				}
				wide := s.FromBytes(torch.Float32, data, p.Value.Shape()...)
				value := s.Cast(wide, dtype)
				wide.Free()
				defer value.Free()
				return value.Data(), nil
			}
		}
		tensors = append(tensors, stored)
	}
	return safetensors.Write(path, tensors, about)
}

// exportGraph writes a network that other programs can run, whole or not at all. One of TorchScript is read back and compared.
func (t *Trained) exportGraph(path, format string, layers []nn.Layer, dtype torch.DType, about map[string]string) error {
	g, err := export.Draw(t.Net.Name, t.Net.Input, layers...)
	if err != nil {
		return err
	}
	if format == ".onnx" {
		err := disk.Replace(path, func(w io.Writer) error { return g.WriteONNX(w, dtype, about) })
		if _, ok := disk.Cause(err); ok {
			return unwritable(path, err)
		}
		return err
	}
	text, err := json.Marshal(about)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".export-*") // libtorch writes to paths
	if err != nil {
		return unwritable(path, err)
	}
	defer os.RemoveAll(dir)
	temporary := filepath.Join(dir, "net.pt")
	if err := g.WriteScript(temporary, dtype, map[string]string{"locus.json": string(text)}); err != nil {
		return unwritable(path, err)
	}
	if err := t.sameAsScript(temporary, layers, dtype); err != nil {
		return err
	}
	return copyFile(path, temporary)
}

// unwritable is the fault of a file that cannot be written.
func unwritable(path string, err error) error {
	if cause, ok := disk.Cause(err); ok {
		err = cause
	}
	return fault.New("%s cannot be written: %w", show.Name(path), err)
}

// copyFile replaces the file at path by another one's content.
func copyFile(path, from string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	err = disk.Replace(path, func(w io.Writer) error {
		_, err := io.Copy(w, f)
		return err
	})
	if err != nil {
		return unwritable(path, err)
	}
	return nil
}

// sameAsScript runs an archive and the network on an image, and returns an error if they differ by more than rounding.
func (t *Trained) sameAsScript(path string, layers []nn.Layer, dtype torch.DType) (err error) {
	defer torch.Catch(&err)
	s := torch.CPU.Scope(torch.NoGrad)
	defer s.Close()
	if t.Device() != torch.CPU {
		return nil // the archive is compared where the network is at hand
	}
	in := t.Net.Input
	x := s.Full(torch.Float32, 0, 1, int64(in.C), int64(max(1, in.H)), int64(max(1, in.W)))
	if in.H == 0 {
		x = s.Reshape(x, 1, int64(in.C))
	}
	x.Normal(0, 1, 1)
	want := nn.Sequential(layers).Forward(nn.Evaluate(s, torch.Float32), s.Clone(x))
	got := s.RunScript(path, x)
	most := s.Norms([]torch.Tensor{want}).Item()
	tolerance := map[torch.DType]float64{torch.BFloat16: 0.2, torch.Float16: 0.05}[dtype] + 1e-3
	if apart := s.Norms([]torch.Tensor{s.Add(got, want, -1)}).Item(); !(apart <= tolerance*most) {
		return fmt.Errorf("the archive computes something else than the network: they are %g apart, of %g; this is a bug", apart, most)
	}
	return nil
}
