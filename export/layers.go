package export

import (
	"github.com/locus-learn/locus/nn"
)

// layer draws one layer.
func (g *Graph) layer(l nn.Layer, x Value) (Value, error) {
	switch l := l.(type) {
	case Drawer:
		return l.Draw(g, x)
	case nn.Sequential:
		return g.Sequence(x, l...)
	case *nn.Frozen:
		return g.layer(l.Layer, x)
	case *nn.Conv2d:
		return g.conv(l, x), nil
	case *nn.Linear:
		return g.linear(l, x), nil
	case *nn.BatchNorm2d:
		return g.batchNorm(l, x), nil
	case *nn.ConvNormReLU:
		return g.same(ReLU, g.batchNorm(l.Norm, g.conv(l.Conv, x))), nil
	case *nn.LinearNormReLU:
		return g.same(ReLU, g.batchNorm(l.Norm, g.linear(l.Linear, x))), nil
	case *nn.Residual:
		return g.residual(l, x)
	case *nn.Unit:
		return g.unit(l, x)
	case nn.ReLU:
		return g.same(ReLU, x), nil
	case nn.GELU:
		return g.same(GELU, x), nil
	case nn.Tanh:
		return g.same(Tanh, x), nil
	case nn.Scale:
		return g.Add(Scale, x.Dims, l.Factor, nil, x.Name), nil
	case nn.Dropout:
		return x, nil
	case nn.Flatten:
		return g.flatten(x), nil
	case nn.AvgPool:
		side := int64(l.Side)
		return g.Add(AvgPool, []int64{-1, x.Dims[1], side, side}, 0, []int64{side}, x.Name), nil
	case nn.MaxPool:
		return g.maxPool(l, x), nil
	}
	return g.tokenLayer(l, x)
}

// same adds an operation that keeps the dimensions.
func (g *Graph) same(op Op, x Value) Value { return g.Add(op, x.Dims, 0, nil, x.Name) }

func (g *Graph) conv(l *nn.Conv2d, x Value) Value {
	w := l.Weight.Value.Shape()
	after := func(side int64) int64 { return (side+2*int64(l.Padding)-w[2])/int64(l.Stride) + 1 }
	return g.Add(Conv, []int64{-1, w[0], after(x.Dims[2]), after(x.Dims[3])}, 0, []int64{int64(l.Stride), int64(l.Padding)},
		x.Name, g.Param(l.Weight), g.Param(l.Bias))
}

func (g *Graph) linear(l *nn.Linear, x Value) Value {
	dims := append([]int64{}, x.Dims...)
	dims[len(dims)-1] = l.Weight.Value.Shape()[0]
	return g.Add(Linear, dims, 0, nil, x.Name, g.Param(l.Weight), g.Param(l.Bias))
}

func (g *Graph) batchNorm(l *nn.BatchNorm2d, x Value) Value {
	return g.Add(BatchNorm, x.Dims, nn.BatchNormEps, nil, x.Name, g.Param(l.Weight), g.Param(l.Bias), g.Param(l.RunningMean), g.Param(l.RunningVar))
}

func (g *Graph) residual(l *nn.Residual, x Value) (Value, error) {
	shortcut, err := g.Sequence(x, l.Shortcut...)
	if err != nil {
		return x, err
	}
	y, err := g.Sequence(x, l.Body...)
	if err != nil {
		return x, err
	}
	return g.same(ReLU, g.plus(g.batchNorm(l.Norm, y), shortcut.Name)), nil
}

// plus adds something to x that is broadcast to its dimensions.
func (g *Graph) plus(x Value, other string) Value { return g.Add(Add, x.Dims, 0, nil, x.Name, other) }

func (g *Graph) unit(l *nn.Unit, x Value) (Value, error) {
	if l.Flat {
		x = g.flatten(x)
	}
	x, err := g.Sequence(x, l.Weigh, l.Act)
	if err != nil || l.Pool == nil {
		return x, err
	}
	return g.maxPool(*l.Pool, x), nil
}

func (g *Graph) flatten(x Value) Value {
	size := int64(1)
	for _, n := range x.Dims[1:] {
		size *= n
	}
	return g.reshape(x, size)
}

// reshape gives the samples of x other dimensions.
func (g *Graph) reshape(x Value, dims ...int64) Value {
	dims = append([]int64{-1}, dims...)
	return g.Add(Reshape, dims, 0, dims, x.Name)
}

func (g *Graph) maxPool(l nn.MaxPool, x Value) Value {
	after := func(side int64) int64 { return (side+int64(2*l.Padding-l.K))/int64(l.Stride) + 1 }
	return g.Add(MaxPool, []int64{-1, x.Dims[1], after(x.Dims[2]), after(x.Dims[3])}, 0,
		[]int64{int64(l.K), int64(l.Stride), int64(l.Padding)}, x.Name)
}
