package torch_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/locus-learn/locus/torch"
)

// adder adds up what goroutines give it, in the order of their ranks.
type adder struct {
	mutex sync.Mutex
	moved *sync.Cond
	given [][]float64
	came  int
	round int
	total []float64
}

func newAdder(ranks int) *adder {
	a := &adder{given: make([][]float64, ranks)}
	a.moved = sync.NewCond(&a.mutex)
	return a
}

func (a *adder) sum(rank int, own []float64) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	round := a.round
	a.given[rank] = slices.Clone(own)
	if a.came++; a.came == len(a.given) {
		a.total = make([]float64, len(own))
		for _, g := range a.given {
			for i, v := range g {
				a.total[i] += v
			}
		}
		a.came, a.round = 0, a.round+1
		a.moved.Broadcast()
	}
	for a.round == round {
		a.moved.Wait()
	}
	copy(own, a.total)
}

// inParts runs f for each part of a batch at the same time, with its peers.
func inParts(parts int, f func(part int, p *torch.Peers)) {
	a := newAdder(parts)
	var all sync.WaitGroup
	for part := range parts {
		all.Go(func() {
			defer torch.Pin()()
			p := torch.NewPeers(parts, func(values []float64) error {
				a.sum(part, values)
				return nil
			})
			defer p.Free()
			f(part, p)
		})
	}
	all.Wait()
}

// part returns a part of a tensor's rows, a leaf.
func part(s *torch.Scope, t torch.Tensor, i, of int) torch.Tensor {
	if !t.Defined() {
		return t
	}
	n := t.Shape()[0] / int64(of)
	return s.Detach(s.Clone(s.Narrow(s.Detach(t), 0, int64(i)*n, n))).SetRequiresGrad(true)
}

// differentiated is all that a normalisation of a batch leads to.
type differentiated struct{ rows, sums []torch.Tensor }

// normalised takes a normalisation, its tangent along o.along, and the gradients of both; for twice also the gradients of a
// gradient.
func normalised(s *torch.Scope, k normCase, o tangentOperands, peers *torch.Peers, twice bool) (d differentiated) {
	options := k.options(o.normOperands)
	options.Record, options.Peers = k.relu, peers
	y, gates := s.BatchNormAct(o.x, o.w, o.b, o.mean, o.variance, options)
	d.add(y, s.Grad(loss(s, y, o.normOperands), o.normOperands.inputs(), torch.GradOptions{CreateGraph: twice}), 1, 2)
	if twice {
		term := s.Sum(s.Mul(s.Mul(d.rows[1], o.along), o.along))
		d.add(s.Detach(y), s.Grad(term, o.normOperands.inputs()[:2], torch.GradOptions{}), 1)
		return d
	}
	dy := s.BatchNormActTangent(o.along, o.beside, o.x, o.w, gates, normEps, peers)
	d.add(dy, s.Grad(loss(s, dy, o.normOperands), o.inputs(), torch.GradOptions{}), 1)
	return d
}

// add appends a result and gradients, of which some are those of parameters.
func (d *differentiated) add(y torch.Tensor, grads []torch.Tensor, parameters ...int) {
	d.rows = append(d.rows, y)
	for i, g := range grads {
		if slices.Contains(parameters, i) {
			d.sums = append(d.sums, g)
		} else {
			d.rows = append(d.rows, g)
		}
	}
}

// A batch in parts is normalised, and differentiated in all ways, as it is in one; running statistics are the same, too.
func TestBatchNormInParts(t *testing.T) {
	for _, parts := range []int{2, 3} {
		for _, twice := range []bool{false, true} {
			for flags := range 16 {
				k := normCase{n: 6, c: 5, h: 3, w: 7, residual: flags&1 != 0, relu: flags&2 != 0, train: true}
				k.dtype, k.contiguous = []torch.DType{torch.Float32, torch.Float64, torch.BFloat16, torch.Float32}[flags>>2], flags>>2 == 3
				if !twice || k.dtype != torch.BFloat16 {
					t.Run(fmt.Sprint(k, parts, twice), func(t *testing.T) { normInParts(t, k, parts, twice) })
				}
			}
		}
	}
}

func normInParts(t *testing.T, k normCase, parts int, twice bool) {
	s := torch.NewScope(torch.Grad)
	defer s.Close()
	o := tangentOperands{normOperands: k.operands(s, 2, 1.5), along: k.direction(s, 8)}
	if k.residual {
		o.beside = k.direction(s, 9)
	}
	separate := make([]tangentOperands, parts)
	for i := range separate {
		p := o
		for _, each := range []*torch.Tensor{&p.x, &p.residual, &p.weight, &p.along, &p.beside} {
			*each = part(s, *each, i, parts)
		}
		p.mean, p.variance = s.Clone(o.mean), s.Clone(o.variance)
		p.w, p.b = s.Detach(s.Clone(s.Detach(o.w))).SetRequiresGrad(true), s.Detach(s.Clone(s.Detach(o.b))).SetRequiresGrad(true)
		separate[i] = p
	}
	want := normalised(s, k, o, nil, twice)
	got := make([]differentiated, parts)
	scopes := make([]*torch.Scope, parts)
	inParts(parts, func(i int, p *torch.Peers) {
		scopes[i] = torch.NewScope(torch.Grad)
		got[i] = normalised(scopes[i], k, separate[i], p, twice)
	})
	tol := 20 * tolerance(k.dtype)
	for i, w := range want.rows {
		for r := range parts {
			near(t, fmt.Sprint("rows ", i), got[r].rows[i], s.Detach(part(s, w, r, parts)), tol)
		}
	}
	for i, w := range want.sums {
		sum := s.Detach(got[0].sums[i])
		for r := range parts - 1 {
			sum = s.Add(sum, s.Detach(got[r+1].sums[i]), 1)
		}
		near(t, fmt.Sprint("parameters ", i), sum, w, tol)
	}
	for r, p := range separate {
		near(t, "running mean", p.mean, o.mean, 1e-6)
		near(t, "running variance", p.variance, o.variance, 1e-6)
		if !p.mean.Equal(separate[0].mean) || !p.variance.Equal(separate[0].variance) {
			t.Errorf("part %d has other running statistics", r)
		}
		scopes[r].Close()
	}
}

// A sum that fails is an error of the operation, forward and backward.
func TestPeersFail(t *testing.T) {
	k := normCase{dtype: torch.Float32, n: 2, c: 3, h: 4, w: 4, relu: true, train: true}
	for fails := range 2 {
		calls := 0
		p := torch.NewPeers(2, func([]float64) error {
			if calls++; calls > fails {
				return errors.New("gone")
			}
			return nil
		})
		err := func() (err error) {
			defer torch.Catch(&err)
			s := torch.NewScope(torch.Grad)
			defer s.Close()
			o := k.operands(s, 0, 1)
			options := k.options(o)
			options.Peers = p
			s.Grad(loss(s, fused(s, o, options), o), o.inputs(), torch.GradOptions{})
			return nil
		}()
		if err == nil || !strings.Contains(err.Error(), "parts of a batch") || calls != fails+1 {
			t.Errorf("after %d sums: %v", fails, err)
		}
		p.Free()
	}
}
