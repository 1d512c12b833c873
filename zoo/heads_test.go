package zoo_test

import (
	"fmt"
	"testing"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/nn/nntest"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

func TestHeadsAgreeWithPyTorch(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	g := nntest.Open(t, s, "testdata/heads.safetensors")
	tokens := nn.Shape{C: 6, H: 3, W: 4, Tokens: 13}
	for _, tt := range []struct {
		name  string
		o     zoo.HeadOptions
		in    nn.Shape
		batch int64
	}{
		{"tokens_mean", zoo.HeadOptions{Name: "tokens", Pool: "mean"}, tokens, 4},
		{"tokens_class", zoo.HeadOptions{Name: "tokens", Pool: "class"}, tokens, 4},
		{"tokens_map", zoo.HeadOptions{Name: "tokens", Pool: "mean"}, nn.Shape{C: 6, H: 3, W: 4}, 4},
		{"linear_folded", zoo.HeadOptions{Name: "linear"}, tokens, 4},
		{"dgl", zoo.HeadOptions{Name: "dgl"}, nn.Shape{C: 4, H: 9, W: 9}, 6},
		{"infopro16", zoo.HeadOptions{Name: "infopro"}, nn.Shape{C: 16, H: 8, W: 8}, 4},
		{"infopro64", zoo.HeadOptions{Name: "infopro"}, nn.Shape{C: 64, H: 4, W: 4}, 4},
		{"projector", zoo.HeadOptions{Name: "projector", Widths: []int{8, 12, 12, 9}}, nn.Shape{C: 4, H: 5, W: 5}, 6},
	} {
		for _, precision := range []struct {
			dtype torch.DType
			tol   float64
		}{{torch.Float64, 1e-10}, {torch.Float32, 1e-4}} {
			t.Run(fmt.Sprint(tt.name, " ", precision.dtype), func(t *testing.T) {
				init := nn.Init{Seed: 1, Device: nntest.Device(t)}
				head := newHead(t, tt.o, 1, tt.in, 10, init)
				defer func() { nn.Free(nn.Params(head)) }()
				input := []int64{tt.batch, int64(tt.in.C), int64(tt.in.H), int64(tt.in.W)}
				if tt.in.Tokens > 0 {
					input = []int64{tt.batch, int64(tt.in.Tokens), int64(tt.in.C)}
				}
				worst := g.CheckNet(t, nntest.Net{Name: tt.name, Layer: head, Input: input, DType: precision.dtype, Tol: precision.tol})
				t.Logf("worst relative error %.1e", worst)
			})
		}
	}
}

func TestHeadsRefuse(t *testing.T) {
	for _, tt := range []struct {
		o    zoo.HeadOptions
		in   nn.Shape
		want string
	}{
		{zoo.HeadOptions{Name: "etv"}, nn.Shape{C: 4}, `head.name is "etv": must be one of linear, conv, dgl, infopro, auglocal, etf, tokens`},
		{zoo.HeadOptions{Name: "projector"}, nn.Shape{C: 4, H: 2, W: 2}, "head.name is projector: its embeddings are no classes; methods that learn from them bring it along"},
		{zoo.HeadOptions{Name: "tokens", Pool: "class"}, nn.Shape{C: 4, H: 2, W: 2}, "head.pool is class: the module's output has no class token; use head.pool=mean"},
		{zoo.HeadOptions{Name: "dgl"}, nn.Shape{C: 4}, "head.name is dgl: needs feature maps, the module's output is a vector; use head.name=linear"},
		{zoo.HeadOptions{Name: "conv"}, nn.Shape{C: 4, H: 1, W: 1, Tokens: 2}, "head.name is conv: needs feature maps of at least 2×2, the module's output is 1×1; use head.name=linear"},
	} {
		if _, err := tryHead(tt.o, false, 1, tt.in, 10, nn.Init{Device: torch.CPU}); err == nil || err.Error() != tt.want {
			t.Errorf("%+v on %v: %v, want %q", tt.o, tt.in, err, tt.want)
		}
	}
}
