package plan

import (
	"syscall"
	"time"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// kind is the kind of pass that a part is measured in.
type kind struct {
	gates  gates
	starts bool // a module starts here: its input belongs to the signal and needs no gradient, but for
	wantIn bool // that of the first pass of SGR
	ends   bool // the output is handed on, with its gradient
	quiet  bool // forward alone, and nothing but gates is recorded
	wide   bool // in float32 at least, though gates are left alone
	again  bool // the output stands beside backward, and so does its gradient, which nobody may overwrite
	bare   bool // what goes back is wanted for the input alone, not for parameters
}

// gates says what a pass does with the discrete choices: see [nn.Gates].
type gates int

const (
	free gates = iota
	record
	replay
)

// cost of a part in bytes. Peaks are relative to what is alive when the direction begins, the incoming features among it
// but not the incoming gradient; backward begins with all that forward has kept.
type cost struct {
	kept     float64 // kept for backward besides in- and output
	gates    float64 // of it, recorded choices that outlive backward
	forward  float64 // peak
	backward float64 // peak, the incoming gradient included
	seconds  float64
	ahead    float64 // of them, forward
}

// input of a part that is measured.
type input struct {
	x    torch.Tensor // consumed by the part
	leaf torch.Tensor // its gradient is wanted; no tensor where none is
}

// stage makes the input of a part. In the middle of a module that is a result of autograd's, which dies with its last
// user: a normalisation's, behind one, else the sum of something random and a zero that wants a gradient.
func stage(s *torch.Scope, pass *nn.Pass, x torch.Tensor, behind bool, k kind) (b input) {
	if k.starts {
		from := s.Detach(x).SetRequiresGrad(k.wantIn)
		b.x = s.Cast(from, pass.Compute)
		if b.leaf = from; !k.wantIn {
			from.Free()
			b.leaf = torch.Tensor{}
		}
		return b
	}
	if behind {
		b.leaf = x.SetRequiresGrad(true)
		ones := s.Full(torch.Float32, 1, x.Shape()[1])
		b.x, _ = s.BatchNormAct(x, ones, ones, torch.Tensor{}, torch.Tensor{}, torch.NormOptions{Train: true, Eps: 1, ReLU: true})
		return b
	}
	b.leaf = s.Full(x.DType(), 0, 1).SetRequiresGrad(true)
	b.x = s.Add(x, b.leaf, 1)
	x.Free()
	return b
}

// random returns a batch of features in the layout in which blocks hand them on, or of images as they are drawn.
func random(s *torch.Scope, dtype torch.DType, n int, shape nn.Shape, image bool) torch.Tensor {
	dims := []int64{int64(n), int64(shape.C)}
	switch {
	case shape.Tokens > 0:
		dims = []int64{int64(n), int64(shape.Tokens), int64(shape.C)}
	case shape.H > 0:
		dims = append(dims, int64(shape.H), int64(shape.W))
	}
	x := s.Full(torch.Float32, 0, dims...)
	x.Normal(0, 1, uint64(n))
	if shape.H > 0 && shape.Tokens == 0 && !image {
		old := x
		x = s.ChannelsLast(old)
		old.Free()
	}
	if dtype != torch.Float32 {
		old := x
		x = s.Cast(old, dtype)
		old.Free()
	}
	return x
}

func sampleBytes(shape nn.Shape, dtype torch.DType) float64 {
	return float64(shape.C*max(1, shape.H*shape.W, shape.Tokens)) * float64(dtype.Size())
}

// newPass returns a pass of kind k over so many views. forward, run once, fills the gates that a replay needs.
func newPass(s *torch.Scope, dtype torch.DType, k kind, views int, forward func(*nn.Pass)) *nn.Pass {
	p := nn.Train(s, dtype, nn.NewDraws(1)).Over(views)
	if k.gates == free {
		return p
	}
	p.Gates = &nn.Gates{}
	if k.gates == replay {
		quiet := torch.NewScopeOn(s.Device(), torch.NoGrad)
		defer quiet.Close()
		q := *p
		q.Scope = quiet
		forward(&q)
		p.Gates.Replay()
		p.Draws = nn.NewDraws(1)
	}
	return p
}

// measureBlock measures a block on n samples.
func (p *Planner) measureBlock(b *block, n int, k kind) cost {
	defer bring(nn.Params(b.Layer))()
	if k.quiet {
		return p.measureQuiet(b, n, k)
	}
	s := torch.NewScopeOn(p.spec.Device, torch.Grad)
	defer s.Close()
	dtype := p.dtype(k)
	in := func(s *torch.Scope) torch.Tensor { return random(s, dtype, n, b.in, b.first) }
	pass := newPass(s, dtype, k, 1, func(q *nn.Pass) { b.Layer.Forward(q, in(q.Scope)).Free() })
	defer pass.Gates.Free()
	c := random(s, dtype, n, b.Out, false)
	at := stage(s, pass, in(s), b.behind, k)

	began, before := p.clock(), p.meter()
	y := b.Layer.Forward(pass, at.x)
	out := cost{forward: before.peak(), ahead: p.clock() - began}
	total, from := y, torch.GradOptions{Output: c}
	if !k.again {
		product := s.Mul(y, c)
		total, from = s.Sum(product), torch.GradOptions{}
		product.Free()
		if !k.ends {
			y.Free()
		}
	}
	out.kept = before.grown()
	if k.ends || k.again || b.keepsOut {
		out.kept -= float64(c.Bytes())
	}
	if !k.starts && !b.keepsIn {
		out.kept += float64(n) * sampleBytes(b.in, dtype)
	}
	var wrt []torch.Tensor
	if !k.bare {
		wrt = nn.Trainable(nn.Params(b.Layer))
	}
	if at.leaf.Defined() {
		wrt = append(wrt, at.leaf)
	}
	if k.ends && len(wrt) > 0 {
		wrt = append(wrt, y)
	}
	before = p.meter()
	grads := s.Grad(total, wrt, from)
	out.backward = before.peak()
	out.seconds = p.clock() - began
	for _, g := range grads {
		g.Free()
	}
	out.gates = p.gatesOf(pass, k)
	return out
}

// gatesOf frees the choices that a pass has recorded and returns their bytes.
func (p *Planner) gatesOf(pass *nn.Pass, k kind) float64 {
	if k.gates != record {
		return 0
	}
	before := p.spec.Device.Memory().Live
	pass.Gates.Free()
	return float64(before - p.spec.Device.Memory().Live)
}

// measureObjective measures the objective behind a module on n samples, with all their views: head, loss, and what the
// objective has besides.
func (p *Planner) measureObjective(t *objective, n int, k kind) cost {
	defer bring(t.module.Params)()
	s := torch.NewScopeOn(p.spec.Device, torch.Grad)
	defer s.Close()
	dtype := p.dtype(k)
	signal, rows := local.Signal{Y: p.parts.Rule.Blank(s, n, p.parts.Net.Classes)}, n*p.views()
	if p.parts.Rule.Needs.Image {
		signal.Image = random(s, torch.Float32, n, p.parts.Net.Input, true)
		signal.Image.Uniform(0, 1, 1)
	}
	pass := newPass(s, dtype, k, p.views(), func(q *nn.Pass) {
		p.parts.Rule.Objective.Loss(q, t.module, random(q.Scope, dtype, rows, t.in, false), signal).Free()
	})
	defer pass.Gates.Free()
	at := stage(s, pass, random(s, dtype, rows, t.in, false), false, kind{starts: k.starts})
	var wrt []torch.Tensor
	if !k.bare {
		wrt = append(wrt, t.module.Theta()...)
	}
	if at.leaf.Defined() {
		wrt = append(wrt, at.leaf)
	}

	began, before := p.clock(), p.meter()
	loss := p.parts.Rule.Objective.Loss(pass, t.module, at.x, signal)
	out := cost{forward: before.peak(), kept: before.grown()}
	before = p.meter()
	grads := s.Grad(loss, wrt, torch.GradOptions{})
	out.backward = before.peak()
	out.seconds = p.clock() - began
	for _, g := range grads {
		g.Free()
	}
	out.gates = p.gatesOf(pass, k)
	return out
}

// keeps finds out what becomes of a block's in- and output, and how many bytes it holds for backward in all, on n samples.
func (p *Planner) keeps(b *block, n int, dtype torch.DType) (h held, bytes int64) {
	defer bring(nn.Params(b.Layer))()
	live := func() int64 { return p.spec.Device.Memory().Live }
	s := torch.NewScopeOn(p.spec.Device, torch.Grad)
	defer s.Close()
	pass := newPass(s, dtype, kind{}, 1, nil)
	c := random(s, dtype, n, b.Out, false)
	at := stage(s, pass, random(s, dtype, n, b.in, b.first), b.behind, kind{})
	user := s.Alias(at.x)
	size := user.Bytes()
	empty := live() - size
	y := b.Layer.Forward(pass, at.x)
	h.remakable = y.Remakable()
	product := s.Mul(y, c)
	s.Sum(product) // so that the graph outlives y
	product.Free()
	with := live()
	y.Free()
	h.keepsOut = with-live() < c.Bytes()
	with = live()
	user.Free()
	h.keepsIn = with-live() < size
	return h, live() - empty
}

var start = time.Now()

// clock returns seconds of which only differences mean something: the process's own where one thread of the CPU computes,
// which others on a busy machine do not lengthen, and else those of the wall.
func (p *Planner) clock() float64 {
	p.spec.Device.Synchronize()
	var used syscall.Rusage
	if p.spec.Device != torch.CPU || torch.Threads() > 1 || syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return time.Since(start).Seconds()
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds()
}

// mark is a place that live bytes of a device are compared with.
type mark struct {
	device torch.Device
	live   int64
}

// meter lets the peak start again.
func (p *Planner) meter() mark {
	p.spec.Device.ResetPeak()
	return mark{p.spec.Device, p.spec.Device.Memory().Live}
}

func (m mark) peak() float64  { return float64(m.device.Memory().Peak - m.live) }
func (m mark) grown() float64 { return float64(m.device.Memory().Live - m.live) }
