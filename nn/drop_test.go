package nn_test

import (
	"math"
	"testing"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Dropout zeroes about its rate, keeps the mean, repeats itself under gates and from a place, and rests in evaluation.
func TestDropout(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	const n = 100_000
	ones := func() torch.Tensor { return s.Full(torch.Float32, 1, n) }
	gates := &nn.Gates{}
	defer gates.Free()
	p := &nn.Pass{Scope: s, Mode: nn.Mode{Train: true}, Tape: nn.Tape{Gates: gates}, Draws: nn.NewDraws(7)}
	l := nn.Dropout{Rate: 0.3}
	first := l.Forward(p, ones())
	zeros, sum := 0, 0.0
	for _, v := range first.Float64s() {
		if v == 0 {
			zeros++
		} else if math.Abs(v-1/0.7) > 1e-6 {
			t.Fatalf("an element is %g, want 0 or 1/0.7", v)
		}
		sum += v
	}
	if share := float64(zeros) / n; math.Abs(share-0.3) > 0.01 || math.Abs(sum/n-1) > 0.01 {
		t.Errorf("%.3f of the elements are zero, the mean is %.3f", share, sum/n)
	}
	if second := l.Forward(p, ones()); second.Equal(first) {
		t.Error("two draws of one pass are the same")
	}
	gates.Replay()
	if again := l.Forward(p, ones()); !again.Equal(first) {
		t.Error("a replay drops others")
	}
	fresh := nn.Train(s, torch.Float32, nn.NewDraws(7))
	begin := fresh.At()
	if again := l.Forward(fresh, ones()); !again.Equal(first) {
		t.Error("the same stream drops others")
	}
	fresh.Seek(begin)
	if again := l.Forward(fresh, ones()); !again.Equal(first) {
		t.Error("the same place drops others")
	}
	if still := l.Forward(nn.Evaluate(s, torch.Float32), ones()); !still.Equal(ones()) {
		t.Error("dropout acts in evaluation")
	}
}

// Whole samples are left out, the others scaled.
func TestDropPath(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	const samples, tokens, width = 1000, 3, 2
	p := nn.Train(s, torch.Float32, nn.NewDraws(3))
	shortcut, branch := s.Full(torch.Float32, 10, samples*tokens, width), s.Full(torch.Float32, 1, samples*tokens, width)
	out := nn.DropPath{Rate: 0.25}.Add(p, shortcut, branch, samples).Float64s()
	dropped := 0
	for i := 0; i < len(out); i += tokens * width {
		for _, v := range out[i : i+tokens*width] {
			if v != out[i] || v != 10 && math.Abs(v-10-1/0.75) > 1e-6 {
				t.Fatalf("sample %d has %g and %g, want 10 or 10 + 1/0.75 throughout", i, out[i], v)
			}
		}
		if out[i] == 10 {
			dropped++
		}
	}
	if share := float64(dropped) / samples; math.Abs(share-0.25) > 0.05 {
		t.Errorf("%.3f of the samples are dropped", share)
	}
}

func TestDropNeedsDraws(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	var err error
	func() {
		defer torch.Catch(&err)
		nn.Dropout{Rate: 0.5}.Forward(nn.Train(s, torch.Float32, nil), s.Full(torch.Float32, 1, 4))
	}()
	if err == nil {
		t.Error("a pass without draws drops something")
	}
}

// Noise has the share of its input's deviation that was asked for, in every type, and is what gates replay, whatever comes
// in then.
func TestNoise(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	for _, dtype := range []torch.DType{torch.Float32, torch.Float64, torch.BFloat16} {
		x := s.Full(dtype, 0, 400, 500)
		x.Normal(3, 2, 1)
		gates := &nn.Gates{}
		p := &nn.Pass{Scope: s, Mode: nn.Mode{Train: true}, Tape: nn.Tape{Gates: gates}, Draws: nn.NewDraws(7)}
		y := p.Noise(x, 0.25)
		noise, square := s.Add(y, x, -1).Float64s(), 0.0
		for _, v := range noise {
			square += v * v
		}
		if d := math.Sqrt(square / float64(len(noise))); math.Abs(d-0.5) > 0.01 {
			t.Errorf("%v: the noise's deviation is %.3f, want a quarter of 2", dtype, d)
		}
		if again := p.Noise(x, 0.25); again.Equal(y) {
			t.Errorf("%v: two draws of one pass are the same", dtype)
		}
		zero := s.ZerosLike(x)
		fresh := nn.Train(s, torch.Float32, nn.NewDraws(7))
		if again := fresh.Noise(x, 0.25); !again.Equal(y) {
			t.Errorf("%v: the same stream makes other noise", dtype)
		}
		gates.Replay()
		if replayed := s.Add(p.Noise(zero, 0.25), x, 1); !replayed.Equal(y) {
			t.Errorf("%v: a replay makes other noise", dtype)
		}
		gates.Free()
	}
}
