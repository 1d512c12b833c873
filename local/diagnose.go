package local

import (
	"math"

	"github.com/locus-learn/locus/internal/seed"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Diagnosis is what a [Probe] finds on a batch, a value a module; NaN where there is nothing to measure.
// docs/diagnostics.md tells how to read it.
type Diagnosis struct {
	Loss       []float64 // L_k, the module's own objective
	SGR        []float64 // S(δ, r) with the module before (Eq. 6, Algorithm 1)
	Cos        []float64 // mean over samples of cos(δ, r)
	Epsilon    []float64 // ‖∇_θk L_K − ∇_θk L_k‖, ‖ε‖ of Theorem 3.3, over the body's parameters
	GlobalNorm []float64 // ‖∇_θk L_K‖, the norm that ε is measured by
	GlobalCos  []float64 // cosine of ∇_θk L_k and ∇_θk L_K
	Gap        []float64 // ‖∇_θk L_{k+1} − ∇_θk L_k‖, the left side of Sec. 3.2's inequality
	Bound      []float64 // ‖J_f(θ_k)ᵀ‖·‖δ − r‖, its right side, the norm by power iteration
	Within     []float64 // trace of the scatter within classes over that between them, of pooled features x_k
	Shift      []float64 // ΔL_k = L_k(x′) − L_k(x) by the step's update of the modules before (Sec. 4.4)
	ShiftTrain []float64 // ΔL_k on the batch that the update learned from, as the paper has it
}

// Probe measures the modules of a chain in front of a step, [NewProbe], and behind it, [Probe.After]. It leaves no trace in
// them: layers run as in training, by the batch's statistics, the running ones left alone; what they draw comes from a
// stream of its own. It computes in float32 at least.
type Probe struct {
	Diagnosis
	chain    *Chain
	at       Tick
	lossless []bool
	watched  []watched
	before   [][]torch.Tensor // values of each module's Params
}

// watched is a batch that ΔL is measured on.
type watched struct {
	Signal
	losses []float64 // L_k in front of the step
	shift  *[]float64
}

// NewProbe measures a network on a held-out batch in front of the step at, in which it is going to learn from train. Of both
// it reads images and labels. S is taken as measure normalises and reduces it. Both signals are consumed. The network must be empty; it takes as much
// memory as global back-propagation would. The caller frees the probe.
func NewProbe(c *Chain, held, train Signal, at Tick, measure *Reconcile) (p *Probe, err error) {
	defer torch.Catch(&err)
	p = &Probe{chain: c, at: at}
	p.watched = []watched{{held, nil, &p.Shift}, {train, nil, &p.ShiftTrain}}
	done := false
	defer func() {
		if !done {
			p.Free()
		}
	}()
	p.diagnose(held, measure)
	for i := range p.watched {
		p.watched[i].losses = p.losses(p.watched[i].Signal, nil)
	}
	s := held.X.Device().Scope(torch.NoGrad)
	defer s.Close()
	for _, m := range c.modules {
		var values []torch.Tensor
		for _, param := range m.Params {
			values = append(values, s.Clone(param.Value).Keep())
		}
		p.before = append(p.before, values)
	}
	done = true
	return p, nil
}

// After measures Shift and ShiftTrain, once the step has been taken and the network is empty again.
func (p *Probe) After() (err error) {
	defer torch.Catch(&err)
	for _, w := range p.watched {
		after := p.losses(w.Signal, p.before)
		for k := range after {
			after[k] -= w.losses[k]
		}
		after[0] = math.NaN() // nobody moves the first module's input
		*w.shift = after
	}
	return nil
}

// Free releases what the probe keeps.
func (p *Probe) Free() {
	for _, w := range p.watched {
		w.Signal.Free()
	}
	for _, values := range p.before {
		free(values)
	}
	p.watched, p.before = nil, nil
}

// pass is a traversal of a module as in its training, without a trace.
func (p *Probe) pass(s *torch.Scope, m *Module) *nn.Pass {
	c := p.chain
	if c.Schedule.Phase(m.Index, len(c.modules), p.at.Done) == Frozen {
		return nn.Evaluate(s, p.dtype())
	}
	draws := nn.NewDraws(seed.Derive(c.Rule.Seed, "diagnose", uint64(m.Index), uint64(p.at.Step)))
	return nn.Repeat(s, p.dtype(), draws)
}

func (p *Probe) dtype() torch.DType {
	if p.chain.DType == torch.BFloat16 {
		return torch.Float32
	}
	return p.chain.DType
}

// enter makes the signal in front of the first module, which the scope owns. The batch stays.
func (p *Probe) enter(s *torch.Scope, b Signal) Signal {
	in, err := p.chain.Enter(s.Features(b.X, p.dtype()).Keep(), s.Alias(b.Y).Keep(), 0)
	if err != nil {
		panic(err)
	}
	adopt(s, in)
	return in
}

// losses returns L_k of every module on a batch. Where params are given, a module's own loss is found with these in place
// of its parameters, while features come from the modules as they are.
func (p *Probe) losses(b Signal, params [][]torch.Tensor) []float64 {
	s := b.X.Device().Scope(torch.NoGrad)
	defer s.Close()
	in := p.enter(s, b)
	var all []float64
	for k, m := range p.chain.modules {
		switch {
		case p.lossless[k]:
			all = append(all, math.NaN())
		case params == nil:
			all = append(all, p.loss(s, m, in))
		default:
			all = append(all, p.lossWith(s, m, in, params[k]))
		}
		in.X = m.Body.Forward(p.pass(s, m), in.X)
	}
	return all
}

// loss returns L_k on a signal, which it does not consume.
func (p *Probe) loss(s *torch.Scope, m *Module, in Signal) float64 {
	pass := p.pass(s, m)
	xk := m.Body.Forward(pass, s.Alias(in.X))
	defer xk.Free()
	loss := p.chain.Rule.Objective.Loss(pass, m, xk, in)
	defer loss.Free()
	return loss.Item()
}

// lossWith is loss with other values in the place of the module's parameters.
func (p *Probe) lossWith(s *torch.Scope, m *Module, in Signal, values []torch.Tensor) float64 {
	swap := func() {
		for i, param := range m.Params {
			param.Value, values[i] = values[i], param.Value
		}
	}
	swap()
	defer swap()
	return p.loss(s, m, in)
}

// diagnose measures all that needs no update.
func (p *Probe) diagnose(b Signal, measure *Reconcile) {
	c := p.chain
	for _, list := range []*[]float64{
		&p.Loss, &p.SGR, &p.Cos, &p.Epsilon, &p.GlobalNorm, &p.GlobalCos, &p.Gap, &p.Bound, &p.Within,
	} {
		*list = make([]float64, len(c.modules))
		for k := range *list {
			(*list)[k] = math.NaN()
		}
	}
	s := b.X.Device().Scope(torch.NoGrad)
	defer s.Close()
	in := p.enter(s, b)
	global := p.globalGradients(s, in)
	labels := b.Y.Float64s()
	var before neighbour
	for k, m := range c.modules {
		g := p.localGradients(s, m, in)
		p.lossless = append(p.lossless, g.Lossless)
		p.Loss[k] = g.Loss.Wait()
		if g.In.Defined() {
			agreement := measure.agreement(s, g.In, in.Delta)
			p.SGR[k], p.Cos[k] = agreement.SGR.Wait(), agreement.Cos.Wait()
			p.Gap[k-1], p.Bound[k-1] = p.inequality(before, g.In, in.Delta)
		}
		own := g.Theta[:len(global[k])]
		p.Epsilon[k] = distance(global[k], own)
		d := dots(own, global[k])
		p.GlobalNorm[k], p.GlobalCos[k] = math.Sqrt(d.bb), d.ab/math.Sqrt(d.aa*d.bb)
		p.Within[k] = scatterRatio(pooled(g.X), labels)
		before.free()
		free(append(global[k], g.In, in.Delta, in.Mod))
		before = neighbour{m, in.X, g.Theta}
		in.X, in.Delta, in.Mod = g.X, g.Out, g.Mod
	}
}

// neighbour is a module with its input x_{k−1} and its own gradient ∂L_k/∂θ_k.
type neighbour struct {
	*Module
	x     torch.Tensor
	theta []torch.Tensor
}

func (n neighbour) free() { free(append(n.theta, n.x)) }

// bodyTheta returns the trainable parameters of the body, which come first in Theta. Heads are left out: of a head, the
// network's loss knows nothing.
func (m *Module) bodyTheta() []torch.Tensor { return m.theta[:len(nn.Trainable(nn.Params(m.Body)))] }

// localGradients are those by which the method moves a module, its term left out. The signal stays; s owns the result.
func (p *Probe) localGradients(s *torch.Scope, m *Module, in Signal) Gradients {
	rule := p.chain.Rule
	own := s.Device().Scope(torch.Mode(!rule.Closed))
	defer own.Close()
	g := rule.Credit.Gradients(p.pass(own, m), m, rule.Objective, in, Want{In: in.Delta.Defined(), Out: !m.Last})
	for _, t := range append([]torch.Tensor{g.X, g.Mod, g.In, g.Out}, g.Theta...) {
		if t.Defined() {
			s.Adopt(t)
		}
	}
	return g
}

// globalGradients returns ∂L_K/∂θ_k of every body, by back-propagation through the uncut network. The signal stays; s owns
// the result.
func (p *Probe) globalGradients(s *torch.Scope, in Signal) [][]torch.Tensor {
	graph := s.Device().Scope(torch.Grad)
	defer graph.Close()
	modules := p.chain.modules
	last := modules[len(modules)-1]
	x, pass := graph.Alias(in.X), (*nn.Pass)(nil)
	var theta []torch.Tensor
	for _, m := range modules {
		pass = p.pass(graph, m)
		x = m.Body.Forward(pass, x)
		theta = append(theta, m.bodyTheta()...)
	}
	grads := graph.Grad(p.chain.Rule.Objective.Loss(pass, last, x, in), theta, torch.GradOptions{})
	var all [][]torch.Tensor
	for _, m := range modules {
		n := len(m.bodyTheta())
		all = append(all, grads[:n:n])
		grads = grads[n:]
	}
	for _, module := range all {
		for _, g := range module {
			s.Adopt(g)
		}
	}
	return all
}

// powerSteps are the steps of the power iteration for ‖J‖: from δ − r on, its estimate can only rise.
const powerSteps = 4

// inequality returns both sides of Sec. 3.2's inequality between module k and the next one,
//
//	‖∇_θk L_{k+1} − ∇_θk L_k‖ ≤ ‖J_f(θ_k)ᵀ‖·‖δ − r‖,   δ = ∂L_{k+1}/∂x_k,   r = ∂L_k/∂x_k.
//
// ∇_θk L_{k+1} = Jᵀδ goes back through two modules; ∇_θk L_k is the module's own. ‖J‖ is the largest ‖Jᵀw‖ over unit w met
// by power iteration on J Jᵀ, which begins at δ − r. J u is the derivative of ⟨Jᵀw, u⟩ in w, linear in w as Jᵀw is.
func (p *Probe) inequality(m neighbour, delta, r torch.Tensor) (gap, bound float64) {
	s := m.x.Device().Scope(torch.Grad)
	defer s.Close()
	theta := m.bodyTheta()
	pass := p.pass(s, m.Module)
	pass.Twice = true
	xk := m.Body.Forward(pass, s.Alias(m.x))
	through := s.Grad(xk, theta, torch.GradOptions{Output: s.Clone(delta), Retain: true}) // a clone: layers may overwrite it
	gap = distance(through, m.theta[:len(theta)])
	v := s.Detach(s.Add(delta, r, -1))
	length := v.Norm()
	var norm float64
	for step := range powerSteps {
		size := v.Norm()
		if size == 0 { // they agree, or J is zero
			break
		}
		w := s.Detach(s.Scale(v, 1/size)).SetRequiresGrad(true)
		back := s.Grad(xk, theta, torch.GradOptions{Output: w, CreateGraph: true})
		norm = max(norm, math.Sqrt(dots(back, back).aa))
		if step == powerSteps-1 {
			break
		}
		sum := s.Sum(s.Mul(back[0], s.Detach(back[0])))
		for _, b := range back[1:] {
			sum = s.Add(sum, s.Sum(s.Mul(b, s.Detach(b))), 1)
		}
		v = s.Grad(sum, []torch.Tensor{w}, torch.GradOptions{Retain: true})[0]
	}
	return gap, norm * length
}

// products are the inner products of two lists of tensors, each list taken as one vector.
type products struct{ aa, ab, bb float64 }

// dots finds the inner products of two lists of tensors, row by row.
func dots(a, b []torch.Tensor) (sum products) {
	for i := range a {
		s := a[i].Device().Scope(torch.NoGrad)
		d := s.RowDots(a[i], b[i])
		aa, ab, bb := d.AA.Float64s(), d.AB.Float64s(), d.BB.Float64s()
		for j := range aa {
			sum.aa, sum.ab, sum.bb = sum.aa+aa[j], sum.ab+ab[j], sum.bb+bb[j]
		}
		s.Close()
	}
	return sum
}

// distance is the norm of a − b.
func distance(a, b []torch.Tensor) float64 {
	var square float64
	for i := range a {
		s := a[i].Device().Scope(torch.NoGrad)
		d := s.Add(a[i], b[i], -1).Norm()
		square += d * d
		s.Close()
	}
	return math.Sqrt(square)
}

// pooled returns features averaged over positions or tokens, a row a sample.
func pooled(x torch.Tensor) [][]float64 {
	s := x.Device().Scope(torch.NoGrad)
	defer s.Close()
	shape := x.Shape()
	switch len(shape) {
	case 4:
		x = s.MeanDim(s.Reshape(x, shape[0], shape[1], -1), 2)
	case 3:
		x = s.MeanDim(x, 1)
	}
	flat, n := x.Float64s(), int(shape[0])
	rows := make([][]float64, n)
	for i := range rows {
		rows[i] = flat[i*len(flat)/n : (i+1)*len(flat)/n]
	}
	return rows
}

// scatterRatio returns tr S_W / tr S_B: the rows' square distances from their class's mean over those of the class means
// from the whole mean. It is 0 where classes are points, NaN or infinite where all have one mean.
func scatterRatio(rows [][]float64, labels []float64) float64 {
	whole, classes := &centre{}, map[float64]*centre{}
	for i, row := range rows {
		whole.add(row)
		if classes[labels[i]] == nil {
			classes[labels[i]] = &centre{}
		}
		classes[labels[i]].add(row)
	}
	var within, between float64
	for i, row := range rows { // by rows: the order of a map is not for sums
		class := classes[labels[i]]
		for j := range row {
			inner := row[j] - class.sum[j]/class.n
			outer := class.sum[j]/class.n - whole.sum[j]/whole.n
			within, between = within+inner*inner, between+outer*outer
		}
	}
	return within / between
}

// centre sums rows up for their mean.
type centre struct {
	n   float64
	sum []float64
}

func (c *centre) add(row []float64) {
	if c.sum == nil {
		c.sum = make([]float64, len(row))
	}
	c.n++
	for j, v := range row {
		c.sum[j] += v
	}
}
