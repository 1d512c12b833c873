package local

import (
	"math"

	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/torch/dist"
)

// shared is the sum of a module's gradients over the ranks that train it, each on its own part of the batch. It is under way
// until the module is used again: meanwhile the modules behind it work.
type shared struct {
	found   *found
	lr      float64
	scope   *torch.Scope   // owns the bucket and its views
	bucket  torch.Tensor   // gradients, buffers and sharedNumbers numbers, flat
	theta   []torch.Tensor // views of the gradients
	buffers []torch.Tensor // views of the running statistics
	sum     dist.Pending
}

// sharedNumbers are loss, S and cosine: they travel with the gradients.
const sharedNumbers = 3

// Share makes the module one of several copies, on the ranks of a group, that learn as one: each trains on an equal part of
// every batch, and all take the step by the mean of their gradients. So all copies always hold the same bits.
//
// Batch normalisation takes the statistics of a copy's own part, and running statistics become their mean with every step. With
// whole it takes those of the whole batch: see [torch.Peers]. Then copies wait for each other at every normalisation, and learn
// what one module learns on all of the batch, to rounding.
//
// A step is taken late: when the module is next used, or its [Stats] are waited for. What is found then is the mean over the
// ranks, and a step with a loss or gradient that is not finite on any rank is taken by none.
func (m *Module) Share(ranks dist.Group, whole bool) {
	m.within.free()
	m.ranks, m.within = nil, nil
	if ranks.Size() > 1 {
		m.ranks, m.within = ranks, newExchange(ranks, whole)
	}
}

// Ranks is how many copies of the module learn as one.
func (m *Module) Ranks() int {
	if m.ranks == nil {
		return 1
	}
	return m.ranks.Size()
}

// peers have the other parts of the batch where normalisation takes the statistics of all; nil elsewhere.
func (m *Module) peers() *torch.Peers {
	if m.within == nil {
		return nil
	}
	return m.within.peers
}

// buffers are the running statistics that differ from rank to rank, of the type of the gradients.
func (m *Module) buffers() (all []torch.Tensor) {
	if len(m.theta) == 0 || m.peers() != nil {
		return nil
	}
	for _, p := range m.Params {
		if p.Running() && p.Value.DType() == m.theta[0].DType() {
			all = append(all, p.Value)
		}
	}
	return all
}

// BucketBytes is what a rank gives to the sum of one step: a flat tensor of gradients, running statistics and three numbers.
func (m *Module) BucketBytes() int64 {
	n, size := int64(sharedNumbers), int64(torch.Float32.Size())
	for _, t := range append(append([]torch.Tensor{}, m.theta...), m.buffers()...) {
		n, size = n+t.Numel(), int64(t.DType().Size())
	}
	return n * size
}

// share starts the sum of a step's gradients, and waits for it where the next module needs the updated one.
func (w *Work) share(g Gradients, a Agreement, now bool) (Stats, error) {
	m := w.Module
	s := m.Device().Scope(torch.NoGrad)
	sh := &shared{scope: s, lr: w.At.LR, found: &found{module: m, step: w.At.Step, lossless: g.Lossless, shared: true}}
	list := append(append([]torch.Tensor{}, g.Theta...), m.buffers()...)
	sh.bucket = dist.Pack(s, list, []float64{g.Loss.Wait(), a.SGR.Wait(), a.Cos.Wait()})
	views := dist.Unpack(s, sh.bucket, list)
	sh.theta, sh.buffers = views[:len(g.Theta)], views[len(g.Theta):]
	free(g.Theta)
	sh.sum = m.ranks.Sum(sh.bucket)
	m.shared = sh
	stats := untrained
	stats.late = sh.found
	if now {
		return stats, m.settle()
	}
	return stats, nil
}

// settle waits for the sum that is under way, if there is one, and takes the step.
func (m *Module) settle() error {
	m.settling.Lock()
	defer m.settling.Unlock()
	return m.take()
}

// arrive settles the step that has found f, unless that is done.
func (m *Module) arrive(f *found) error {
	m.settling.Lock()
	defer m.settling.Unlock()
	if m.shared != nil && m.shared.found == f {
		return m.take()
	}
	return f.failed
}

func (m *Module) take() (err error) {
	sh := m.shared
	if sh == nil {
		return nil
	}
	m.shared = nil
	defer sh.scope.Close()
	defer func() { sh.found.failed = err }()
	defer torch.Catch(&err)
	if err := sh.sum.Wait(); err != nil {
		return err
	}
	torch.ForeachScale([]torch.Tensor{sh.bucket}, 1/float64(m.ranks.Size()))
	numbers, f := dist.Tail(sh.bucket, sharedNumbers), sh.found
	f.values = [foundCount]float64{numbers[0], numbers[1], numbers[2], 0}
	if !torch.AllFinite(sh.theta) {
		f.values[foundGradients] = math.NaN()
	}
	m.SetLastLoss(f.values[foundLoss])
	if err := f.check(); err != nil {
		return err
	}
	for i, b := range m.buffers() {
		b.Copy(sh.buffers[i])
	}
	m.Optim.Step(sh.theta, sh.lr)
	return nil
}

// abandon gives up a sum that nobody will ask for.
func (m *Module) abandon() {
	if sh := m.shared; sh != nil {
		m.shared = nil
		sh.sum.Wait()
		sh.scope.Close()
	}
}
