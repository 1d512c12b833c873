package local

import (
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// etf is layer-wise learning without back-propagation (Sec. 3.3): every layer with its nonlinearity is a module, its head
// a fixed simplex equiangular tight frame, its gradient a formula.
var etf = Method{
	Name: "etf", Doc: "every layer by its own fixed ETF head, in closed form, without autograd (Sec. 3.3)",
	Claims: descends(backpropFree(Never, "all layers on each batch")),
	Cut:    Everywhere, Head: "etf", LastHead: true, Fits: fitsUnits("etf"),
	Compose: func(o Options) (Rule, Schedule) { return o.closedForm(), Together{} },
}

// etfReforward is etf in which every module gets the features of the updated one before it (Table 4's reforward).
var etfReforward = Method{
	Name: "etf-reforward", Doc: "etf, features handed on after the update, by a second forward pass",
	Claims: etf.Claims, Cut: etf.Cut, Head: etf.Head, LastHead: true, Fits: fitsUnits("etf-reforward"),
	Compose: func(o Options) (Rule, Schedule) {
		rule := o.closedForm()
		rule.Reforward = true
		return rule, Together{}
	},
}

func (o Options) closedForm() Rule {
	return Rule{Objective: o.classify(), Term: None{}, Credit: ClosedForm{Smoothing: o.Smoothing}, Closed: true}
}

// descends says of claims that updates follow the gradients of the modules' objectives and terms.
func descends(c Claims) Claims {
	c.Descends = true
	return c
}

// ClosedForm finds the gradients of a unit's cross-entropy by formulas (Eq. 35's parts; Appendix D):
//
//	δ_y = Mᵀ(softmax(M y) − t)/N through the pools,  a = δ_y ⊙ σ′(W x),  ∂L/∂W = a xᵀ,  δ_x = Wᵀ a
//
// with a convolution's two adjoints in place of the products. Its objective is [Classify] and no other. It can record and
// replay no gates.
type ClosedForm struct{ Smoothing float64 }

// Gradients implements [Credit].
func (f ClosedForm) Gradients(p *nn.Pass, m *Module, _ Objective, in Signal, want Want) Gradients {
	return f.found(p, m, in, want).Gradients
}

// closedGradients keeps what the term's closed form goes on from.
type closedGradients struct {
	Gradients
	*closedForm
	reading
	dy, a torch.Tensor // δ_y and δ_y ⊙ σ′
}

func (f ClosedForm) found(p *nn.Pass, m *Module, in Signal, want Want) *closedGradients {
	g := &closedGradients{closedForm: openUnit(p, m, in.X)}
	c := g.closedForm
	g.reading = c.read(in.Y, f.Smoothing)
	out := c.descend(g.reading, g.delta)
	g.dy = c.unit.Unpool(p, c.Trace, out)
	g.a = c.unit.Slope(p, c.Trace, g.dy)
	g.Gradients = Gradients{Loss: g.loss, X: c.Trace.Out}
	g.Theta = append(nn.ToWeights(p, c.unit.Weigh, g.a, c.Trace.X), c.learnHead(g.delta, g.features)...)
	if want.In {
		g.In = c.unit.ToInput(p, c.Trace, g.a, in.X)
	}
	if g.Gradients.Out = out; !want.Out {
		g.Gradients.Out = torch.Tensor{}
	}
	return g
}
