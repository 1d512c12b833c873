package export

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/locus-learn/locus/torch"
)

// lower writes a node by the operators that ONNX has for it.
func (o *onnx) lower(n Node) {
	out, x := n.Out.Name, n.In[0]
	switch n.Op {
	case Conv:
		w, stride, pad := o.g.ranks[n.In[1]], n.Ints[0], n.Ints[1]
		o.node("Conv", n.In, out, intsAttr("kernel_shape", w[2], w[3]), intsAttr("strides", stride, stride), intsAttr("pads", pad, pad, pad, pad))
	case BatchNorm:
		o.node("BatchNormalization", n.In, out, floatAttr("epsilon", n.Value))
	case LayerNorm:
		o.node("LayerNormalization", n.In, out, intAttr("axis", -1), floatAttr("epsilon", n.Value))
	case Linear:
		o.linear(n)
	case ReLU:
		o.node("Relu", n.In, out)
	case Tanh:
		o.node("Tanh", n.In, out)
	case GELU: // x/2 · (1 + erf(x/√2))
		erf := o.step("Erf", []string{o.step("Mul", []string{x, o.floats(math.Sqrt(0.5))})})
		half := o.step("Mul", []string{x, o.floats(0.5)})
		o.node("Mul", []string{half, o.step("Add", []string{erf, o.floats(1)})}, out)
	case AvgPool:
		o.avgPool(n)
	case MaxPool:
		k, stride, pad := n.Ints[0], n.Ints[1], n.Ints[2]
		o.node("MaxPool", n.In, out, intsAttr("kernel_shape", k, k), intsAttr("strides", stride, stride), intsAttr("pads", pad, pad, pad, pad))
	case Add:
		o.node("Add", n.In, out)
	case Scale:
		o.node("Mul", []string{x, o.floats(n.Value)}, out)
	case MatMul:
		o.node("MatMul", n.In, out)
	case Softmax:
		o.node("Softmax", n.In, out, intAttr("axis", -1))
	default:
		o.move(n)
	}
}

// move writes a node that computes nothing.
func (o *onnx) move(n Node) {
	out, x := n.Out.Name, n.In[0]
	switch n.Op {
	case Reshape:
		o.node("Reshape", []string{x, o.ints(n.Ints...)}, out)
	case Permute:
		o.node("Transpose", n.In, out, intsAttr("perm", n.Ints...))
	case Narrow:
		o.node("Slice", []string{x, o.ints(n.Ints[1]), o.ints(n.Ints[1] + n.Ints[2]), o.ints(n.Ints[0])}, out)
	case Select:
		o.node("Gather", []string{x, o.scalar(n.Ints[1])}, out, intAttr("axis", n.Ints[0]))
	case Mean:
		o.node("ReduceMean", n.In, out, intsAttr("axes", n.Ints[0]), intAttr("keepdims", 0))
	case Cat:
		o.node("Concat", n.In, out, intAttr("axis", n.Ints[0]))
	case Rows:
		o.node("Gather", n.In, out, intAttr("axis", 1))
	case Table:
		o.node("Gather", n.In, out, intAttr("axis", 0))
	case ZeroRow:
		o.node("Pad", []string{x, o.ints(0, 0, 0, 0, 1, 0)}, out)
	case Each: // to [N, …], N as the second input has it
		batch := o.step("Shape", n.In[1:], intAttr("start", 0), intAttr("end", 1))
		shape := o.step("Concat", []string{batch, o.ints(n.Out.Dims[1:]...)}, intAttr("axis", 0))
		o.node("Expand", []string{x, shape}, out)
	default:
		panic("export: ONNX has no " + string(n.Op)) // a mistake in this package: the list of operations is closed
	}
}

// linear writes x Wᵀ + b. Gemm takes matrices alone.
func (o *onnx) linear(n Node) {
	if len(n.Out.Dims) == 2 {
		o.node("Gemm", n.In, n.Out.Name, intAttr("transB", 1))
		return
	}
	product := []string{n.In[0], o.step("Transpose", []string{n.In[1]}, intsAttr("perm", 1, 0))}
	if n.In[2] == "" {
		o.node("MatMul", product, n.Out.Name)
		return
	}
	o.node("Add", []string{o.step("MatMul", product), n.In[2]}, n.Out.Name)
}

// avgPool averages into cells. PyTorch's overlap where the side does not divide, and may be larger than the map: then each
// axis is a product with a matrix of weights.
func (o *onnx) avgPool(n Node) {
	x, side := n.In[0], n.Ints[0]
	dims := o.g.ranks[x]
	h, w := dims[2], dims[3]
	switch {
	case side == 1:
		o.node("GlobalAveragePool", n.In, n.Out.Name)
	case h == side && w == side:
		o.node("Identity", n.In, n.Out.Name)
	case h%side == 0 && w%side == 0:
		o.node("AveragePool", n.In, n.Out.Name, intsAttr("kernel_shape", h/side, w/side), intsAttr("strides", h/side, w/side))
	default:
		rows := o.step("MatMul", []string{o.constantOf([]int64{side, h}, cells(side, h)), x})
		across := o.step("Transpose", []string{o.constantOf([]int64{side, w}, cells(side, w))}, intsAttr("perm", 1, 0))
		o.node("MatMul", []string{rows, across}, n.Out.Name)
	}
}

// cells is the matrix [side, n] that averages n numbers into side of them as PyTorch's adaptive pool does.
func cells(side, n int64) []float32 {
	m := make([]float32, side*n)
	for i := range side {
		from, to := i*n/side, ((i+1)*n+side-1)/side
		for j := from; j < to; j++ {
			m[i*n+j] = 1 / float32(to-from)
		}
	}
	return m
}

// constant adds what a graph has besides parameters.
func (o *onnx) constant(c Constant) {
	if c.Ints != nil {
		o.add(c.Name, c.Dims, torch.Int64, func() []byte { return intBytes(c.Ints) })
		return
	}
	o.add(c.Name, c.Dims, torch.Float32, func() []byte { return floatBytes(c.Floats) })
}

// named adds an initializer under a name of its own.
func (o *onnx) named(dims []int64, dtype torch.DType, data []byte) string {
	o.made++
	name := fmt.Sprintf("k%d", o.made)
	o.add(name, dims, dtype, func() []byte { return data })
	return name
}

func (o *onnx) ints(v ...int64) string {
	return o.named([]int64{int64(len(v))}, torch.Int64, intBytes(v))
}

func (o *onnx) scalar(v int64) string { return o.named(nil, torch.Int64, intBytes([]int64{v})) }

func (o *onnx) floats(v float64) string {
	return o.named(nil, torch.Float32, floatBytes([]float32{float32(v)}))
}

func (o *onnx) constantOf(dims []int64, v []float32) string {
	return o.named(dims, torch.Float32, floatBytes(v))
}

func intBytes(v []int64) []byte {
	var b []byte
	for _, n := range v {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	return b
}

func floatBytes(v []float32) []byte {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}
