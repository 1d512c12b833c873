package local_test

import (
	"errors"
	"testing"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/torch"
)

func TestNoTensorOutlivesAStep(t *testing.T) {
	for _, tt := range []struct {
		name  string
		o     method.Options
		dtype torch.DType
	}{
		{"bp", method.Options{Name: "bp"}, torch.Float32},
		{"layerwise", method.Options{Name: "layerwise", Modules: 3}, torch.Float32},
		{"sgr directional", sgr("directional"), torch.Float32},
		{"sgr double", sgr("double"), torch.Float32},
		{"sgr directional in bfloat16", sgr("directional"), torch.BFloat16},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := chain(t, resnet, tt.o, tt.dtype)
			for range 3 {
				nothingLeft(t, func() { train(t, c, 1) })
			}
			nothingLeft(t, func() {
				x, y := randomBatch(tt.dtype, 9)
				if _, err := c.Evaluate(x, y); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A batch that the engine refuses is an error, costs no memory and does not stop the training.
func TestNoTensorOutlivesARefusedBatch(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	good := func() torch.Tensor { x, y := randomBatch(torch.Float32, 5); y.Free(); return x }
	for _, gradient := range []string{"directional", "double"} {
		c := chain(t, resnet, sgr(gradient), torch.Float32)
		for _, tt := range []struct {
			name string
			x, y func() torch.Tensor
		}{
			{"label out of range", good, func() torch.Tensor { return s.FromInts([]int64{0, 1, 2, 3, 4, 5, 6, classes}).Keep() }},
			{"labels missing", good, func() torch.Tensor { return s.FromInts([]int64{0, 1}).Keep() }},
			{"four channels", func() torch.Tensor { return s.Full(torch.Float32, 1, batch, 4, 8, 8).Keep() },
				func() torch.Tensor { return s.FromInts(make([]int64, batch)).Keep() }},
		} {
			t.Run(gradient+" "+tt.name, func(t *testing.T) {
				nothingLeft(t, func() {
					_, err := c.Step(tt.x(), tt.y(), local.Tick{LR: 0.1})
					var refused *torch.Error
					if !errors.As(err, &refused) {
						t.Errorf("error %v, want the engine's", err)
					}
				})
				nothingLeft(t, func() { train(t, c, 1) })
			})
		}
	}
}

func TestLiveBytesStayFlat(t *testing.T) {
	o := sgr("directional")
	o.Lambda = 0.1
	c := chain(t, mlp, o, torch.Float32)
	train(t, c, 1)
	nothingLeft(t, func() { train(t, c, 2000) })
}
