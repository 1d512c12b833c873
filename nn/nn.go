// Package nn has the layers that networks are made of.
//
// A layer consumes its input: [Layer.Forward] takes x over from the caller, frees what autograd does not need before
// it allocates the next thing, and returns a tensor that the caller owns. Who needs x twice takes an alias first.
// Names and layouts of parameters are PyTorch's.
package nn

import (
	"github.com/locus-learn/locus/torch"
)

// Layer is a differentiable function with parameters. A layer of one's own owes Forward only.
//
// [Params] finds its parameters in its fields. Derivatives come from autograd. A forward derivative, for [Pass.Along], is
// something that a layer with arithmetic of its own has only if it says so: see [Tangents].
type Layer interface {
	// Forward applies the layer to x, whose first dimension is the batch. It consumes x; the caller owns the result.
	Forward(p *Pass, x torch.Tensor) torch.Tensor
}

// Shape is the size of one sample between two layers. A map [N, C, H, W] has channels, height and width, a vector [N, C]
// has H = W = 0. Tokens [N, Tokens, C] are the cells of an H×W grid, row by row, behind those that have no place in it
// (class tokens): Tokens − H·W of them.
type Shape struct {
	C, H, W int
	Tokens  int `json:",omitempty"` // 0: a map or a vector
}

// Map returns the shape of the grid of tokens, which [Fold] makes, and other shapes as they are.
func (s Shape) Map() Shape { return Shape{C: s.C, H: s.H, W: s.W} }

// Block is a piece of a network that no cut divides.
type Block struct {
	Name  string // as PyTorch names it: "layer1.0"
	Layer Layer
	Out   Shape // of one sample
}

// Sequential applies layers in order.
type Sequential []Layer

// Forward implements [Layer].
func (s Sequential) Forward(p *Pass, x torch.Tensor) torch.Tensor {
	for _, l := range s {
		x = l.Forward(p, x)
	}
	return x
}

// Tangents says that its layers have derivatives for [Pass.Along].
func (s Sequential) Tangents() bool { return Tangents(s...) }
