package localtest

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

func chain(t testing.TB, name string, k int, grad string, dt torch.DType) *local.Chain {
	init := nn.Init{Seed: 1, Device: torch.CPU}
	net, err := zoo.New(zoo.Options{Name: "resnet32"}, nn.Shape{C: 3, H: 32, W: 32}, 10, init)
	if err != nil {
		t.Fatal(err)
	}
	ends, err := local.Cuts(net.Blocks, net.Cuts, k, nil)
	if err != nil {
		t.Fatal(err)
	}
	var ms []*local.Module
	from := 0
	for i, e := range ends {
		head := net.Classifier
		if i < len(ends)-1 {
			head, err = zoo.NewHead(zoo.HeadOptions{Name: "conv", Width: 128}, i+1, net.Blocks[e-1].Out, 10, init)
			if err != nil {
				t.Fatal(err)
			}
		}
		ms = append(ms, local.NewModule(i+1, i == len(ends)-1, net.Blocks[from:e], head, func(p []*nn.Param) optim.Optimizer {
			return optim.New(optim.Options{Name: "sgd", Momentum: .9, WeightDecay: 5e-4}, p)
		}))
		from = e
	}
	m, o, err := local.Lookup(local.Options{Name: name, Modules: k, Lambda: 1, Reduction: "batch", Normalize: true, Gradient: grad, Every: 1})
	if err != nil {
		t.Fatal(err)
	}
	rule, sched := m.Compose(o)
	return local.NewChain(ms, rule, sched, dt)
}

func TestScratch(t *testing.T) {
	torch.Pin()
	fmt.Println(torch.Describe())
	for _, dt := range []torch.DType{torch.Float32, torch.BFloat16} {
		for _, c := range []struct {
			name string
			k    int
			grad string
		}{{"bp", 1, ""}, {"layerwise", 3, ""}, {"sgr", 3, "directional"}, {"layerwise", 16, ""}, {"sgr", 16, "directional"}, {"sgr", 3, "double"}} {
			if c.grad == "double" && (dt == torch.BFloat16 || os.Getenv("DOUBLE") == "") {
				continue
			}
			ch := chain(t, c.name, c.k, c.grad, dt)
			s := torch.NewScope(torch.NoGrad)
			step := func() []local.Stats {
				x := s.Full(torch.Float32, 0, 128, 3, 32, 32)
				x.Normal(0, 1, 3)
				y := s.FromInts(make([]int64, 128))
				if dt != torch.Float32 {
					x2 := s.Cast(x, dt)
					x.Free()
					x = x2
				}
				st, err := ch.Step(x.Keep(), y.Keep(), local.Tick{LR: 0.01})
				if err != nil {
					t.Fatal(err)
				}
				return st
			}
			step()
			rest := torch.LiveBytes()
			torch.ResetPeak()
			best := time.Hour
			var st []local.Stats
			for range 4 {
				t0 := time.Now()
				st = step()
				best = min(best, time.Since(t0))
			}
			fmt.Printf("%v %s K=%d %s: %.3fs peak %.1f MB rest %.1f  %v\n", dt, c.name, c.k, c.grad, best.Seconds(), float64(torch.PeakBytes()-rest)/1e6, float64(rest)/1e6, st[len(st)-1])
			s.Close()
			for _, m := range ch.Modules() {
				m.Free()
			}
		}
	}
	fmt.Println(torch.LiveTensors(), torch.LiveBytes())
}
