package nn_test

import (
	"testing"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/nn/nntest"
	"github.com/locus-learn/locus/torch"
)

// function is a layer without parameters, as a test needs one.
type function func(p *nn.Pass, x torch.Tensor) torch.Tensor

func (f function) Forward(p *nn.Pass, x torch.Tensor) torch.Tensor { return f(p, x) }

// addReLU is ReLU(norm(x) + x).
type addReLU struct{ *nn.BatchNorm2d }

func (l addReLU) Forward(p *nn.Pass, x torch.Tensor) torch.Tensor {
	shortcut := p.Alias(x)
	return l.AddReLU(p, x, shortcut)
}

func TestLayersAgreeWithPyTorch(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	g := nntest.Open(t, s, "testdata/layers.safetensors")
	crossEntropy := func(p *nn.Pass, x torch.Tensor) torch.Tensor { return p.CrossEntropy(x, g.Get(t, "labels"), 0) }
	softmax := func(p *nn.Pass, x torch.Tensor) torch.Tensor { return p.Softmax(x) }
	i := nn.Init{Seed: 1, Device: nntest.Device(t)}
	cases := []nntest.Case{
		{Name: "conv3x3", Layer: nn.NewConv2d(i, 3, 6, 3, 1)},
		{Name: "conv3x3s2", Layer: nn.NewConv2d(i, 3, 6, 3, 2)},
		{Name: "conv3x3s2odd", Layer: nn.NewConv2d(i, 3, 6, 3, 2)},
		{Name: "conv1x1s2", Layer: nn.NewConv2d(i, 3, 6, 1, 2)},
		{Name: "linear", Layer: nn.NewLinear(i, 10, 7)},
		{Name: "batchnorm", Layer: nn.NewBatchNorm2d(i, 6)},
		{Name: "batchnorm_eval", Layer: nn.NewBatchNorm2d(i, 6), Eval: true},
		{Name: "conv_norm_relu", Layer: nn.NewConvNormReLU(i, "conv1", "bn1", 3, 6, 3, 1)},
		{Name: "conv_norm_relu_eval", Layer: nn.NewConvNormReLU(i, "conv1", "bn1", 3, 6, 3, 1), Eval: true},
		{Name: "add_relu", Layer: addReLU{nn.NewBatchNorm2d(i, 6)}},
		{Name: "add_relu_eval", Layer: addReLU{nn.NewBatchNorm2d(i, 6)}, Eval: true},
		{Name: "relu", Layer: nn.ReLU{}},
		{Name: "gelu", Layer: nn.GELU{}},
		{Name: "avgpool1", Layer: nn.AvgPool{Side: 1}},
		{Name: "avgpool2", Layer: nn.AvgPool{Side: 2}},
		{Name: "flatten", Layer: nn.Flatten{}},
		{Name: "cross_entropy", Layer: function(crossEntropy)},
		{Name: "softmax", Layer: function(softmax)},
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			defer nn.Free(nn.Params(c.Layer))
			g.Check(t, c)
		})
	}
}

// What a block of ViT-S keeps for backward, in units of its input: the sum between attention and MLP, queries, keys and
// values, the attended, and the hidden layer, four times as wide, in front of its GELU; and its result. No scores: on 197
// tokens those would be three units more. Nor what backward makes again: two normalised inputs, and what the GELU put out.
func TestEncoderKeepsNoScores(t *testing.T) {
	s := torch.NewScope(torch.Grad)
	defer s.Close()
	i := nn.Init{Seed: 1, Device: torch.CPU}
	l := &nn.Encoder{
		Norm1: nn.NewLayerNorm(i.In("norm1"), 384, 1e-6), Norm2: nn.NewLayerNorm(i.In("norm2"), 384, 1e-6),
		Mixer: nn.NewAttention(i.In("attn"), 384, 6), MLP: nn.NewMLP(i.In("mlp"), "fc1", "fc2", 384, 1536),
	}
	defer nn.Free(nn.Params(l))
	x := s.Full(torch.Float32, 0, 2, 197, 384)
	x.Normal(0, 1, 1)
	x.SetRequiresGrad(true)
	before := torch.LiveBytes()
	y := l.Forward(nn.Train(s, torch.Float32, nil), s.Alias(x))
	kept := torch.LiveBytes() - before
	t.Logf("%d bytes, %.2f of the input's", kept, float64(kept)/float64(x.Bytes()))
	if kept > x.Bytes()*102/10 {
		t.Errorf("%d bytes are kept, want at most 10.2 of the input's %d", kept, x.Bytes())
	}
	torch.ResetPeak()
	s.Grad(s.Sum(y), append(nn.Trainable(nn.Params(l)), x), torch.GradOptions{})
	t.Logf("peak of backward %d bytes", torch.PeakBytes()-before)
}
