package export

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/torch"
)

// Versions of the format. Operator set 17 is the first with LayerNormalization.
const (
	onnxIR    = 8
	onnxOpset = 17
)

// mostONNX is what a message of protobuf can hold, in bytes.
const mostONNX = math.MaxInt32

// Types of elements, as TensorProto numbers them.
var onnxTypes = map[torch.DType]int64{torch.Float32: 1, torch.Uint8: 2, torch.Int64: 7, torch.Float16: 10, torch.Float64: 11, torch.BFloat16: 16}

// tensor is an initializer: what goes before its bytes, and the bytes when their turn comes.
type tensor struct {
	head []byte
	size int
	load func() []byte
}

// WriteONNX writes a graph as a model of ONNX. Parameters of floating point are stored in a type, float32, bfloat16 or
// float16, and computed with in float32: runtimes unfold them once, when they load the file. They are written one by one.
// metadata goes into the model's metadata_props.
func (g *Graph) WriteONNX(w io.Writer, dtype torch.DType, metadata map[string]string) error {
	o := &onnx{g: g, dtype: dtype}
	for _, p := range g.Params {
		o.param(p.Name, p.Value)
	}
	for _, c := range g.Constants {
		o.constant(c)
	}
	for _, n := range g.Nodes {
		o.lower(n)
	}
	body := protowire.AppendTag(nil, 2, protowire.BytesType) // name
	body = protowire.AppendString(body, g.Name)
	body = append(body, o.nodes...)
	tail := appendMessage(nil, 11, valueInfo(g.Input)) // input
	tail = appendMessage(tail, 12, valueInfo(g.Output))
	total := len(body) + len(tail)
	for _, t := range o.tensors {
		total += t.length()
	}
	if total > mostONNX {
		return fault.New("%s has %d bytes of parameters: an ONNX file holds at most %d; --dtype bf16 needs half, a .safetensors file has no limit", g.Name, total, mostONNX)
	}
	head := appendModel(nil, metadata)
	head = protowire.AppendTag(head, 7, protowire.BytesType) // graph
	head = protowire.AppendVarint(head, uint64(total))
	if _, err := w.Write(append(head, body...)); err != nil {
		return err
	}
	for _, t := range o.tensors {
		if err := t.write(w); err != nil {
			return err
		}
	}
	_, err := w.Write(tail)
	return err
}

// appendModel writes the fields of ModelProto but its graph.
func appendModel(b []byte, metadata map[string]string) []byte {
	b = appendInt(b, 1, onnxIR)
	b = appendText(b, 2, "locus")
	b = appendMessage(b, 8, appendInt(nil, 2, onnxOpset))
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		b = appendMessage(b, 14, appendText(appendText(nil, 1, key), 2, metadata[key]))
	}
	return b
}

// valueInfo is a ValueInfoProto of float32, its batch of any size.
func valueInfo(v Value) []byte {
	var shape []byte
	for _, n := range v.Dims {
		dim := appendInt(nil, 1, n)
		if n < 0 {
			dim = appendText(nil, 2, "N")
		}
		shape = appendMessage(shape, 1, dim)
	}
	kind := appendMessage(appendInt(nil, 1, onnxTypes[torch.Float32]), 2, shape)
	return appendMessage(appendText(nil, 1, v.Name), 2, appendMessage(nil, 1, kind))
}

// length is what a tensor takes in its graph.
func (t tensor) length() int {
	inner := len(t.head) + protowire.SizeTag(9) + protowire.SizeBytes(t.size)
	return protowire.SizeTag(5) + protowire.SizeBytes(inner)
}

func (t tensor) write(w io.Writer) error {
	b := protowire.AppendTag(nil, 5, protowire.BytesType) // initializer
	b = protowire.AppendVarint(b, uint64(len(t.head)+protowire.SizeTag(9)+protowire.SizeBytes(t.size)))
	b = append(b, t.head...)
	b = protowire.AppendTag(b, 9, protowire.BytesType) // raw_data
	b = protowire.AppendVarint(b, uint64(t.size))
	if _, err := w.Write(b); err != nil {
		return err
	}
	data := t.load()
	if len(data) != t.size {
		return fmt.Errorf("export: a tensor has %d bytes: must be %d", len(data), t.size)
	}
	_, err := w.Write(data)
	return err
}

// onnx gathers what a graph becomes.
type onnx struct {
	g       *Graph
	dtype   torch.DType
	nodes   []byte // of GraphProto
	tensors []tensor
	names   map[string]string // of parameters that are stored in another type: what computes with them
	made    int
}

// param adds an initializer, and behind it a cast to float32 where it is stored in another type.
func (o *onnx) param(name string, value torch.Tensor) {
	dtype := value.DType()
	stored := dtype
	if dtype == torch.Float32 {
		stored = o.dtype
	}
	o.add(name, value.Shape(), stored, func() []byte {
		if stored == dtype {
			return value.Data()
		}
		s := value.Device().Scope(torch.NoGrad)
		defer s.Close()
		return s.Cast(value, stored).Data()
	})
	if stored != dtype {
		if o.names == nil {
			o.names = map[string]string{}
		}
		o.names[name] = name + ".float32"
		o.node("Cast", []string{name}, o.names[name], intAttr("to", onnxTypes[torch.Float32]))
	}
}

// add adds an initializer.
func (o *onnx) add(name string, dims []int64, dtype torch.DType, load func() []byte) {
	size := dtype.Size()
	var head []byte
	for _, n := range dims {
		head = appendInt(head, 1, n)
		size *= int(n)
	}
	head = appendText(appendInt(head, 2, onnxTypes[dtype]), 8, name)
	o.tensors = append(o.tensors, tensor{head, size, load})
}

// node appends a NodeProto. Empty names at the end of the inputs are left away.
func (o *onnx) node(op string, in []string, out string, attrs ...[]byte) {
	for len(in) > 0 && in[len(in)-1] == "" {
		in = in[:len(in)-1]
	}
	var b []byte
	for _, name := range in {
		if other, stored := o.names[name]; stored && op != "Cast" {
			name = other
		}
		b = protowire.AppendTag(b, 1, protowire.BytesType) // also where it is empty
		b = protowire.AppendString(b, name)
	}
	b = appendText(b, 2, out)
	b = appendText(b, 3, out)
	b = appendText(b, 4, op)
	for _, a := range attrs {
		b = appendMessage(b, 5, a)
	}
	o.nodes = appendMessage(o.nodes, 1, b)
}

// step is node with a name of its own for what it makes.
func (o *onnx) step(op string, in []string, attrs ...[]byte) string {
	o.made++
	out := fmt.Sprintf("t%d", o.made)
	o.node(op, in, out, attrs...)
	return out
}

func appendInt(b []byte, field protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(v))
}

func appendText(b []byte, field protowire.Number, v string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), v)
}

func appendMessage(b []byte, field protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), v)
}

// Attributes, as AttributeProto has them; field 20 is their type.
func intAttr(name string, v int64) []byte {
	return appendInt(appendInt(appendText(nil, 1, name), 3, v), 20, 2)
}

func intsAttr(name string, v ...int64) []byte {
	b := appendText(nil, 1, name)
	for _, n := range v {
		b = appendInt(b, 8, n)
	}
	return appendInt(b, 20, 7)
}

func floatAttr(name string, v float64) []byte {
	b := protowire.AppendTag(appendText(nil, 1, name), 2, protowire.Fixed32Type)
	return appendInt(protowire.AppendFixed32(b, math.Float32bits(float32(v))), 20, 1)
}
