package export

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/locus-learn/locus/torch"
)

// WriteScript writes a graph as a TorchScript archive at path: a module with the parameters under PyTorch's names and the
// method forward, which torch.jit.load reads. Parameters of floating point are stored in a type and computed with in float32.
// files are further entries of the archive. What the file system refuses is an error of the engine.
func (g *Graph) WriteScript(path string, dtype torch.DType, files map[string]string) error {
	s := torch.CPU.Scope(torch.NoGrad)
	defer s.Close()
	a := torch.ScriptArchive{Source: g.source(dtype), Files: files}
	for _, p := range g.Params {
		value := p.Value
		if value.DType() == torch.Float32 && dtype != torch.Float32 {
			value = s.Cast(value, dtype)
		}
		a.Parameters = append(a.Parameters, torch.Named{Name: p.Name, Value: value, Buffer: !p.Trainable})
	}
	for _, c := range g.Constants {
		var value torch.Tensor
		if c.Ints != nil {
			value = s.Reshape(s.FromInts(c.Ints), c.Dims...)
		} else {
			value = s.FromFloats(c.Floats, c.Dims...)
		}
		a.Constants = append(a.Constants, torch.Named{Name: c.Name, Value: value})
	}
	return a.Save(path)
}

// source is the graph as the method forward.
func (g *Graph) source(dtype torch.DType) string {
	var b strings.Builder
	fmt.Fprintf(&b, "def forward(self, %s):\n", g.Input.Name)
	names := map[string]string{"": "None"}
	for _, p := range g.Params {
		e := "self"
		for part := range strings.SplitSeq(p.Name, ".") {
			e = fmt.Sprintf("getattr(%s, %q)", e, part)
		}
		if p.Value.DType() == torch.Float32 && dtype != torch.Float32 {
			e += ".to(6)" // float32, as libtorch numbers types
		}
		names[p.Name] = e
	}
	for _, c := range g.Constants {
		names[c.Name] = "self." + c.Name
	}
	for _, n := range g.Nodes {
		in := make([]string, len(n.In))
		for i, name := range n.In {
			if in[i] = name; names[name] != "" {
				in[i] = names[name]
			}
		}
		fmt.Fprintf(&b, "    %s = torch.%s\n", n.Out.Name, call(n, in, g.ranks[n.In[0]]))
	}
	fmt.Fprintf(&b, "    return %s\n", g.Output.Name)
	return b.String()
}

// call is a node as a call of a function of PyTorch's; dims are those of its first input.
func call(n Node, in []string, dims []int64) string {
	x, rest := in[0], strings.Join(in, ", ")
	twice := func(i int) string { return fmt.Sprintf("[%d, %d]", n.Ints[i], n.Ints[i]) }
	value := strconv.FormatFloat(n.Value, 'g', -1, 64)
	if !strings.ContainsAny(value, ".e") {
		value += "."
	}
	switch n.Op {
	case Conv:
		return fmt.Sprintf("conv2d(%s, %s, %s)", rest, twice(0), twice(1))
	case BatchNorm:
		return fmt.Sprintf("batch_norm(%s, False, 0.1, %s, False)", rest, value)
	case LayerNorm:
		return fmt.Sprintf("layer_norm(%s, [%d], %s, %s, %s)", x, dims[len(dims)-1], in[1], in[2], value)
	case AvgPool:
		return fmt.Sprintf("adaptive_avg_pool2d(%s, %s)", x, twice(0))
	case MaxPool:
		return fmt.Sprintf("max_pool2d(%s, %s, %s, %s)", x, twice(0), twice(1), twice(2))
	case Reshape, Permute:
		return fmt.Sprintf("%s(%s, %s)", n.Op, x, list(n.Ints))
	case Narrow, Select:
		return fmt.Sprintf("%s(%s, %s)", n.Op, x, strings.Trim(list(n.Ints), "[]"))
	case Mean:
		return fmt.Sprintf("mean(%s, %s)", x, list(n.Ints))
	case Cat:
		return fmt.Sprintf("cat([%s], %d)", rest, n.Ints[0])
	case Scale:
		return fmt.Sprintf("mul(%s, %s)", x, value)
	case Softmax:
		return fmt.Sprintf("softmax(%s, -1)", x)
	case Rows:
		return fmt.Sprintf("index_select(%s, 1, %s)", x, in[1])
	case Table:
		return fmt.Sprintf("index_select(%s, 0, %s)", x, in[1])
	case ZeroRow:
		return fmt.Sprintf("constant_pad_nd(%s, [0, 0, 0, 1], 0.)", x)
	case Each:
		return fmt.Sprintf("expand(%s, [%s.size(0), -1, -1])", x, in[1])
	}
	return fmt.Sprintf("%s(%s)", n.Op, rest) // linear, relu, gelu, tanh, add, matmul
}

func list(v []int64) string {
	texts := make([]string, len(v))
	for i, n := range v {
		texts[i] = strconv.FormatInt(n, 10)
	}
	return "[" + strings.Join(texts, ", ") + "]"
}
