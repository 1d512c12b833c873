package torch_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/locus-learn/locus/torch"
)

// attended is what an operation of attention works on: n samples of t tokens, in float64 unless said otherwise.
type attended struct {
	n, t, heads, width int64
	regions            []int64
}

// naive computes attention by its definition.
func (a attended) naive(qkv, bias []float64) []float64 {
	d := a.width / a.heads
	out := make([]float64, a.n*a.t*a.width)
	at := func(i, part, tok, h, c int64) float64 { return qkv[(i*a.t+tok)*3*a.width+part*a.width+h*d+c] }
	for i := range a.n {
		for h := range a.heads {
			for q := range a.t {
				p, sum := make([]float64, a.t), 0.0
				for k := range a.t {
					var s float64
					for c := range d {
						s += at(i, 0, q, h, c) * at(i, 1, k, h, c)
					}
					s /= math.Sqrt(float64(d))
					if bias != nil {
						s += bias[(h*a.t+q)*a.t+k]
					}
					if w := int64(len(a.regions)) / a.t; w > 0 && a.regions[i%w*a.t+q] != a.regions[i%w*a.t+k] {
						s -= 100
					}
					p[k] = math.Exp(s)
					sum += p[k]
				}
				for c := range d {
					var v float64
					for k := range a.t {
						v += p[k] / sum * at(i, 2, k, h, c)
					}
					out[(i*a.t+q)*a.width+h*d+c] = v
				}
			}
		}
	}
	return out
}

func (a attended) draw(s *torch.Scope, dtype torch.DType) (qkv, bias torch.Tensor) {
	qkv = s.Full(dtype, 0, a.n*a.t, 3*a.width)
	qkv.Normal(0, 1, 1)
	bias = s.Full(dtype, 0, a.heads, a.t, a.t)
	bias.Normal(0, 1, 2)
	return qkv, bias
}

func (a attended) options(bias torch.Tensor) torch.AttentionOptions {
	return torch.AttentionOptions{Tokens: int(a.t), Heads: int(a.heads), Bias: bias, Regions: a.regions}
}

func worst(a, b []float64) (w float64) {
	for i := range a {
		w = max(w, math.Abs(a[i]-b[i]))
	}
	return w
}

func TestAttentionIsItsDefinition(t *testing.T) {
	for _, a := range []attended{
		{n: 3, t: 5, heads: 2, width: 8},
		{n: 1, t: 1, heads: 1, width: 4},
		{n: 6, t: 4, heads: 3, width: 6, regions: []int64{0, 0, 0, 0, 0, 1, 1, 0, 4, 3, 2, 1}},
	} {
		for _, biased := range []bool{false, true} {
			t.Run(fmt.Sprint(a, " bias ", biased), func(t *testing.T) {
				s := torch.NewScope(torch.NoGrad)
				defer s.Close()
				qkv, bias := a.draw(s, torch.Float64)
				want := a.naive(qkv.Float64s(), nil)
				if biased {
					want = a.naive(qkv.Float64s(), bias.Float64s())
				} else {
					bias = torch.Tensor{}
				}
				if e := worst(s.Attention(qkv, a.options(bias)).Float64s(), want); !(e <= 1e-12) {
					t.Errorf("is off by %.1e", e)
				}
			})
		}
	}
}

// Many samples are worked on in chunks; each sample's result and gradient is that of the sample alone. What is kept for
// backward is the operand and the result at most, not the scores.
func TestAttentionInChunks(t *testing.T) {
	a := attended{n: 40, t: 128, heads: 2, width: 8} // 1.3 million scores
	for _, biased := range []bool{false, true} {
		t.Run(fmt.Sprint("bias ", biased), func(t *testing.T) {
			s := torch.NewScope(torch.Grad)
			defer s.Close()
			qkv, bias := a.draw(s, torch.Float32)
			if !biased {
				bias = torch.Tensor{}
			}
			gradient := func(x torch.Tensor) (out, grad torch.Tensor) {
				x = s.Detach(x).SetRequiresGrad(true)
				before := torch.LiveBytes()
				out = s.Attention(x, a.options(bias))
				if kept := torch.LiveBytes() - before; kept > out.Bytes()*5/4 {
					t.Errorf("%d bytes are kept, the result has %d", kept, out.Bytes())
				}
				return out, s.Grad(s.Sum(s.Mul(out, out)), []torch.Tensor{x}, torch.GradOptions{})[0]
			}
			out, grad := gradient(qkv)
			for _, i := range []int64{0, 31, 32, 39} {
				one, alone := gradient(s.Clone(s.Narrow(qkv, 0, i*a.t, a.t)))
				if e := worst(s.Narrow(out, 0, i*a.t, a.t).Float64s(), one.Float64s()); !(e <= 1e-5) {
					t.Errorf("sample %d is off by %.1e", i, e)
				}
				if e := worst(s.Narrow(grad, 0, i*a.t, a.t).Float64s(), alone.Float64s()); !(e <= 1e-5) {
					t.Errorf("the gradient of sample %d is off by %.1e", i, e)
				}
			}
		})
	}
}

func TestAttentionRefuses(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	for name, f := range map[string]func(){
		"rows that are no samples": func() { s.Attention(s.Full(torch.Float32, 0, 7, 12), torch.AttentionOptions{Tokens: 3, Heads: 2}) },
		"heads that do not divide": func() { s.Attention(s.Full(torch.Float32, 0, 6, 12), torch.AttentionOptions{Tokens: 3, Heads: 3}) },
		"a bias of another shape": func() {
			s.Attention(s.Full(torch.Float32, 0, 6, 12), torch.AttentionOptions{Tokens: 3, Heads: 2, Bias: s.Full(torch.Float32, 0, 2, 2, 3)})
		},
		"regions of no whole window": func() {
			s.Attention(s.Full(torch.Float32, 0, 6, 12), torch.AttentionOptions{Tokens: 3, Heads: 2, Regions: make([]int64, 4)})
		},
		"a row moved twice":       func() { s.MoveRows(s.Full(torch.Float32, 0, 1, 2, 3), []int64{0, 0}) },
		"a row that is not there": func() { s.MoveRows(s.Full(torch.Float32, 0, 1, 2, 3), []int64{2}) },
	} {
		var err error
		func() {
			defer torch.Catch(&err)
			f()
		}()
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Rows go where they are sent, padding is zero, and the gradient takes the way back.
func TestMoveRows(t *testing.T) {
	s := torch.NewScope(torch.Grad)
	defer s.Close()
	x := s.FromDoubles([]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 2, 3, 2).SetRequiresGrad(true)
	y := s.MoveRows(x, []int64{2, -1, 0, -1})
	if got, want := fmt.Sprint(y.Float64s()), "[5 6 0 0 1 2 0 0 11 12 0 0 7 8 0 0]"; got != want {
		t.Errorf("moved rows are %s, want %s", got, want)
	}
	g := s.Grad(s.Sum(s.Mul(y, y)), []torch.Tensor{x}, torch.GradOptions{CreateGraph: true})[0]
	if got, want := fmt.Sprint(g.Float64s()), "[2 4 0 0 10 12 14 16 0 0 22 24]"; got != want {
		t.Errorf("the gradient is %s, want %s", got, want)
	}
	gg := s.Grad(s.Sum(s.Mul(g, g)), []torch.Tensor{x}, torch.GradOptions{})[0]
	if got, want := fmt.Sprint(gg.Float64s()), "[8 16 0 0 40 48 56 64 0 0 88 96]"; got != want {
		t.Errorf("the second gradient is %s, want %s", got, want)
	}
}
