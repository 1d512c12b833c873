package nn

import "github.com/locus-learn/locus/torch"

// Weighing is a layer that is one product, W x + b: a [Conv2d] or a [Linear].
type Weighing interface {
	Layer
	// Weights returns the parameters; the bias is nil where there is none.
	Weights() (weight, bias *Param)
	product() torch.Product
}

// Weights implements [Weighing].
func (l *Conv2d) Weights() (weight, bias *Param) { return l.Weight, l.Bias }

// Weights implements [Weighing].
func (l *Linear) Weights() (weight, bias *Param) { return l.Weight, l.Bias }

// Times returns W x, without bias. Like the layer's adjoints it consumes nothing.
func Times(p *Pass, l Weighing, x torch.Tensor) torch.Tensor {
	weight, _ := l.Weights()
	w := p.Weight(weight)
	defer w.Free()
	return l.product().Apply(p.Scope, x, w, torch.Tensor{})
}

// ToInput returns Wᵀ a in the shape of x, the layer's input. Unrecorded.
func ToInput(p *Pass, l Weighing, a, x torch.Tensor) torch.Tensor {
	weight, _ := l.Weights()
	w := p.Weight(weight)
	defer w.Free()
	return l.product().ToInput(p.Scope, a, x, w)
}

// ToWeights returns the gradients a xᵀ of the weight and, where there is one, Σ a of the bias, in the parameters' own
// types. Unrecorded.
func ToWeights(p *Pass, l Weighing, a, x torch.Tensor) []torch.Tensor {
	weight, bias := l.Weights()
	w := p.Weight(weight)
	dw, db := l.product().ToWeight(p.Scope, a, x, w, bias != nil)
	w.Free()
	out := []torch.Tensor{p.own(weight, dw)}
	if bias != nil {
		out = append(out, p.own(bias, db))
	}
	return out
}

// own returns a gradient in its parameter's type. It consumes g.
func (p *Pass) own(of *Param, g torch.Tensor) torch.Tensor {
	defer g.Free()
	return p.Cast(g, of.Value.DType())
}

// Activation is a nonlinearity y = σ(z) whose derivatives are functions of y.
type Activation interface {
	Layer
	// Slope returns σ′ ⊙ d, where the activation's output is y.
	Slope(p *Pass, y, d torch.Tensor) torch.Tensor
	// Bend returns σ″ ⊙ d, and no tensor where σ″ is zero.
	Bend(p *Pass, y, d torch.Tensor) torch.Tensor
}

// Slope implements [Activation].
func (ReLU) Slope(p *Pass, y, d torch.Tensor) torch.Tensor {
	shut := p.IsZero(y)
	defer shut.Free()
	out := p.Clone(d)
	p.ZeroWhere(out, shut)
	return out
}

// Bend implements [Activation]: σ″ is zero where it exists.
func (ReLU) Bend(*Pass, torch.Tensor, torch.Tensor) torch.Tensor { return torch.Tensor{} }

// Tanh is tanh x.
type Tanh struct{}

// Forward implements [Layer].
func (Tanh) Forward(p *Pass, x torch.Tensor) torch.Tensor {
	y := p.Scope.Tanh(x)
	x.Free()
	return y
}

// Slope implements [Activation]: σ′ = 1 − y².
func (Tanh) Slope(p *Pass, y, d torch.Tensor) torch.Tensor {
	yd := p.Mul(y, d)
	yyd := p.Mul(y, yd)
	yd.Free()
	defer yyd.Free()
	return p.Add(d, yyd, -1)
}

// Bend implements [Activation]: σ″ = −2y(1 − y²).
func (a Tanh) Bend(p *Pass, y, d torch.Tensor) torch.Tensor {
	slope := a.Slope(p, y, d)
	product := p.Mul(y, slope)
	slope.Free()
	defer product.Free()
	return p.Scale(product, -2)
}

// Unit is one weight layer with its nonlinearity, y = σ(W x + b), and what has no parameters around it: a flattening in
// front, a max pool behind. It is what methods train that do without back-propagation.
type Unit struct {
	Flat  bool // the input is flattened first
	Weigh Weighing
	Act   Activation
	Shape Shape    // of one sample of y
	Pool  *MaxPool // nil: none
}

// Forward implements [Layer].
func (u *Unit) Forward(p *Pass, x torch.Tensor) torch.Tensor {
	if u.Flat {
		x = Flatten{}.Forward(p, x)
	}
	y := u.Act.Forward(p, u.Weigh.Forward(p, x))
	if u.Pool != nil {
		y = u.Pool.Forward(p, y)
	}
	return y
}

// Trace is one forward pass of a unit: what its closed forms need. Its tensors belong to the pass's scope.
type Trace struct {
	X      torch.Tensor // input of the weight layer: flattened where the unit flattens
	Y      torch.Tensor // σ(W x + b)
	Out    torch.Tensor // behind the pool; Y itself where there is none
	choice torch.Tensor // of the pool
}

// Trace runs the unit forward on x, which it does not consume.
func (u *Unit) Trace(p *Pass, x torch.Tensor) Trace {
	t := Trace{X: p.Cast(x, p.Compute)}
	if u.Flat {
		t.X = Flatten{}.Forward(p, t.X)
	}
	t.Y = u.Act.Forward(p, u.Weigh.Forward(p, p.Alias(t.X)))
	if t.Out = t.Y; u.Pool != nil {
		t.Out, t.choice = p.MaxPool2d(t.Y, int64(u.Pool.K), int64(u.Pool.Stride), int64(u.Pool.Padding), torch.Tensor{})
	}
	return t
}

// Unpool takes a gradient at the unit's output back to y. It consumes nothing; the result may be an alias.
func (u *Unit) Unpool(p *Pass, t Trace, d torch.Tensor) torch.Tensor {
	if u.Pool == nil {
		return p.Alias(d)
	}
	return p.MaxPool2dAdjoint(d, t.choice, t.Y, int64(u.Pool.K), int64(u.Pool.Stride), int64(u.Pool.Padding))
}

// Push takes a tangent at y, dy, to the unit's output: through the elements that the pool chose. It consumes nothing;
// the result may be an alias.
func (u *Unit) Push(p *Pass, t Trace, dy torch.Tensor) torch.Tensor {
	if u.Pool == nil {
		return p.Alias(dy)
	}
	out, _ := p.MaxPool2d(dy, int64(u.Pool.K), int64(u.Pool.Stride), int64(u.Pool.Padding), t.choice)
	return out
}

// Slope returns a = σ′ ⊙ dy.
func (u *Unit) Slope(p *Pass, t Trace, dy torch.Tensor) torch.Tensor { return u.Act.Slope(p, t.Y, dy) }

// ToInput returns Wᵀ a in the shape of the unit's input x.
func (u *Unit) ToInput(p *Pass, t Trace, a, x torch.Tensor) torch.Tensor {
	d := ToInput(p, u.Weigh, a, t.X)
	if !u.Flat {
		return d
	}
	defer d.Free()
	return p.Reshape(d, x.Shape()...)
}

// Readout is a linear classifier behind what has no parameters: average pooling, flattening.
type Readout struct {
	Pool   *AvgPool // nil: none
	Flat   bool
	Linear *Linear
}

// AsReadout recognises a head that is one.
func AsReadout(l Layer) (r Readout, ok bool) {
	layers, ok := l.(Sequential)
	if !ok {
		layers = Sequential{l}
	}
	for i, l := range layers {
		switch l := l.(type) {
		case AvgPool:
			r.Pool = &l
		case Flatten:
			r.Flat = true
		case *Linear:
			r.Linear = l
			return r, i == len(layers)-1
		default:
			return r, false
		}
	}
	return r, false
}

// Features returns what the linear layer gets for x, which is not consumed: [N, D].
func (r Readout) Features(p *Pass, x torch.Tensor) torch.Tensor {
	h := p.Alias(x)
	if r.Pool != nil {
		h = r.Pool.Forward(p, h)
	}
	if r.Flat {
		h = Flatten{}.Forward(p, h)
	}
	return h
}

// Spread takes a gradient at the features back to x. It consumes d.
func (r Readout) Spread(p *Pass, d, x torch.Tensor) torch.Tensor {
	shape := x.Shape()
	if r.Flat {
		if r.Pool != nil {
			shape = []int64{shape[0], shape[1], int64(r.Pool.Side), int64(r.Pool.Side)}
		}
		flat := d
		d = p.Reshape(flat, shape...)
		flat.Free()
	}
	if r.Pool != nil {
		cells := d
		d = p.AdaptiveAvgPool2dAdjoint(cells, x)
		cells.Free()
	}
	return d
}
