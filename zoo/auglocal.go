package zoo

import (
	"fmt"
	"math"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/nn"
)

// newAugLocalHead builds blocks like those behind the cut, then global average pooling and a linear layer (AugLocal, Ma
// et al., ICLR 2024). With n blocks behind the l-th, block round(l + i·n/d) is taken for i = 1 … d, so that the last
// one always is, or all where n ≤ d. With o.Sample "next" it is block l + i: the module's loss then comes through blocks
// like those that its successor begins with, but not through its successor. A block has the width of the one it is like,
// and halves the resolution, once, while that one's is lower. At d = 1 there is a normalisation in front of the linear
// layer, as the authors have it.
func newAugLocalHead(o HeadOptions, at Cut, init nn.Init) (nn.Layer, error) {
	net := at.Net
	if net.Again == nil {
		return nil, fault.New("head.name is auglocal: cannot repeat blocks of %s; fits residual networks, VGGs and mlp", net.Name)
	}
	if o.DepthMin > o.Depth {
		return nil, fault.New("head.depth_min is %d: must be at most head.depth, %d", o.DepthMin, o.Depth)
	}
	var head nn.Sequential
	in, depth := at.Out(), augLocalDepth(o, at.Module, at.Modules)
	for i, b := range sample(at.End, len(net.Blocks), depth, o.Sample) {
		like := net.Blocks[b].Out
		stride := 1
		if like.H < in.H {
			stride = 2
		}
		out := nn.Shape{C: like.C, H: sideAfter(in.H, stride), W: sideAfter(in.W, stride)}
		head = append(head, net.Again(init.In(fmt.Sprint(i)), b, in, stride))
		in = out
	}
	if in.H > 0 {
		head = append(head, nn.AvgPool{Side: 1}, nn.Flatten{})
	}
	if depth == 1 {
		head = append(head, nn.NewBatchNorm2d(init.In("bn"), in.C))
	}
	return append(head, nn.NewLinear(init.In("fc"), in.C, net.Classes)), nil
}

// augLocalDepth is d of module k of K: linear in k from Depth at the first module to DepthMin at the last but one. A
// DepthMin of 0 stands for (Depth + 1)/2, the authors' pyramid.
func augLocalDepth(o HeadOptions, k, K int) int {
	low := float64(o.DepthMin)
	if o.DepthMin == 0 {
		low = float64(o.Depth+1) / 2
	}
	t := float64(k-1) / math.Max(1, float64(K-2))
	return max(1, int(math.RoundToEven(float64(o.Depth)+t*(low-float64(o.Depth)))))
}

// sample picks d of the blocks from … n−1: the first ones for "next", else evenly, the last one included.
func sample(from, n, d int, how string) []int {
	d = min(d, n-from)
	picked := make([]int, d)
	for i := range picked {
		if how == "next" {
			picked[i] = from + i
			continue
		}
		picked[i] = int(math.RoundToEven(float64(from-1) + float64((i+1)*(n-from))/float64(d)))
	}
	return picked
}
