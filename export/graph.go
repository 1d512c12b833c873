// Package export writes networks for other programs: as a graph of ONNX, or as a TorchScript archive.
//
// Both start from one [Graph], a list of operations on named values, which [Draw] makes of the layers of package nn. A layer
// of one's own joins in by a method Draw: see [Drawer].
package export

import (
	"fmt"
	"slices"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/nn"
)

// Op is an operation of a graph. Each is one of PyTorch's; ONNX takes several for some.
type Op string

// The operations. w and b stand for parameters, and i for a list of whole numbers, in [Node.Ints].
const (
	Conv      Op = "conv"      // x, w, b or "": square, i = stride, padding
	BatchNorm Op = "batchnorm" // x, w, b, running mean, running variance; of channels in dimension 1
	LayerNorm Op = "layernorm" // x, w, b: of the last dimension
	Linear    Op = "linear"    // x, w, b or "": of the last dimension
	ReLU      Op = "relu"
	GELU      Op = "gelu"
	Tanh      Op = "tanh"
	AvgPool   Op = "avgpool" // adaptive, to i × i cells
	MaxPool   Op = "maxpool" // i = kernel, stride, padding
	Reshape   Op = "reshape" // to i, of which one may be −1
	Permute   Op = "permute" // i = the order of dimensions
	Narrow    Op = "narrow"  // i = dimension, start, length
	Select    Op = "select"  // i = dimension, index: without that dimension
	Mean      Op = "mean"    // i = dimension, which goes
	Cat       Op = "cat"     // x, y; i = dimension
	Add       Op = "add"     // x, y, which are broadcast
	Scale     Op = "scale"   // x; Value = factor
	MatMul    Op = "matmul"  // x, y
	Softmax   Op = "softmax" // over the last dimension
	Rows      Op = "rows"    // x, index: of dimension 1
	ZeroRow   Op = "zerorow" // a row of zeros behind dimension 1
	Each      Op = "each"    // x [1, …], like: x for each sample of like
	Table     Op = "table"   // w, index: rows of a table
)

// Value is what a node makes: its name and its dimensions, of which the first, the batch, is −1 where any number will do.
type Value struct {
	Name string
	Dims []int64
}

// Node is one operation.
type Node struct {
	Op    Op
	In    []string // values, parameters and constants by name; "" for none
	Out   Value
	Ints  []int64
	Value float64 // of Scale; ε of a normalisation
}

// Constant is numbers that are no parameter: one of Ints and Floats.
type Constant struct {
	Name   string
	Dims   []int64
	Ints   []int64
	Floats []float32
}

// Graph is a network in evaluation mode.
type Graph struct {
	Name      string
	Input     Value // images [N, C, H, W], normalised, or vectors [N, C]
	Output    Value // logits [N, classes]
	Nodes     []Node
	Params    []*nn.Param // that nodes name; owned by the network
	Constants []Constant

	ranks map[string][]int64 // dimensions by name, of parameters and constants, too
}

// Drawer is a layer that says itself what it computes. x is its input; it returns its output. Errors that a user can mend are
// faults.
type Drawer interface {
	Draw(g *Graph, x Value) (Value, error)
}

// Draw makes the graph of layers, one after the other, on samples of a shape.
func Draw(name string, in nn.Shape, layers ...nn.Layer) (*Graph, error) {
	g := &Graph{Name: name, Input: Value{"input", dimsOf(in)}, ranks: map[string][]int64{}}
	g.ranks[g.Input.Name] = g.Input.Dims
	x, err := g.Sequence(g.Input, layers...)
	if err != nil {
		return nil, err
	}
	g.Output = x
	return g, nil
}

// dimsOf returns the dimensions of a batch of samples.
func dimsOf(s nn.Shape) []int64 {
	switch {
	case s.Tokens > 0:
		return []int64{-1, int64(s.Tokens), int64(s.C)}
	case s.H > 0:
		return []int64{-1, int64(s.C), int64(s.H), int64(s.W)}
	}
	return []int64{-1, int64(s.C)}
}

// Sequence draws layers one after the other.
func (g *Graph) Sequence(x Value, layers ...nn.Layer) (Value, error) {
	for _, l := range layers {
		var err error
		if x, err = g.layer(l, x); err != nil {
			return x, err
		}
	}
	return x, nil
}

// Add appends an operation and returns what it makes.
func (g *Graph) Add(op Op, dims []int64, value float64, ints []int64, in ...string) Value {
	out := Value{fmt.Sprintf("v%d", len(g.Nodes)+1), slices.Clone(dims)}
	g.Nodes = append(g.Nodes, Node{op, in, out, ints, value})
	g.ranks[out.Name] = out.Dims
	return out
}

// Param takes a parameter into the graph and returns its name; "" for none.
func (g *Graph) Param(p *nn.Param) string {
	if p == nil {
		return ""
	}
	if _, known := g.ranks[p.Name]; !known {
		g.Params = append(g.Params, p)
		g.ranks[p.Name] = p.Value.Shape()
	}
	return p.Name
}

// ints takes a list of whole numbers into the graph and returns its name.
func (g *Graph) ints(v []int64, dims ...int64) string {
	for _, c := range g.Constants { // the same windows come again in every block
		if c.Ints != nil && slices.Equal(c.Ints, v) && slices.Equal(c.Dims, dims) {
			return c.Name
		}
	}
	return g.constant(Constant{Dims: dims, Ints: v})
}

func (g *Graph) constant(c Constant) string {
	c.Name = fmt.Sprintf("c%d", len(g.Constants)+1)
	g.Constants = append(g.Constants, c)
	g.ranks[c.Name] = c.Dims
	return c.Name
}

// refuse is the fault of a layer that has no drawing.
func refuse(l nn.Layer) error {
	return fault.New("layer %T cannot be exported: a layer of one's own needs a method Draw of export.Drawer; a .safetensors file needs none", l)
}
