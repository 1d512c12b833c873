package local_test

import (
	"slices"
	"testing"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// Checkpoints change memory, not results: after some steps all parameters and statistics are the same bit for bit, and
// back-propagation has needed less.
func TestCheckpointsChangeMemoryOnly(t *testing.T) {
	net := zoo.Options{Name: "resnet32", Depth: 20, Width: 16}
	for _, o := range []method.Options{
		{Name: "bp", Modules: 1},
		{Name: "layerwise", Modules: 2},
		{Name: "sgr", Modules: 2, Lambda: 1, Reduction: "batch", Normalize: true, Gradient: "directional"},
		{Name: "sgr", Modules: 2, Lambda: 1e-3, Reduction: "batch", Normalize: true, Gradient: "shifted"},
		{Name: "sgr", Modules: 2, Lambda: 1, Reduction: "batch", Normalize: true, Gradient: "double"},
	} {
		t.Run(o.Name+o.Gradient, func(t *testing.T) {
			run := func(checkpoint string) (state, int64) {
				o := o
				o.Checkpoint = checkpoint
				c := chain(t, net, o, torch.Float32)
				step := func() {
					x, y := large(32)
					if _, err := c.Step(x, y, local.Tick{LR: 0.1}); err != nil {
						t.Fatal(err)
					}
				}
				step()
				before := torch.LiveBytes()
				torch.ResetPeak()
				step()
				return stateOf(c.Modules()...), torch.PeakBytes() - before
			}
			plain, full := run("none")
			var less int64
			for _, how := range []string{"sqrt", "3", "blocks"} {
				var checkpointed state
				checkpointed, less = run(how)
				for name, want := range plain {
					if !slices.Equal(checkpointed[name], want) {
						t.Errorf("%s: %s differs", how, name)
					}
				}
				t.Logf("%d kB without checkpoints, %d kB with %s", full/1000, less/1000, how)
			}
			if o.Name == "bp" && less > full*6/10 {
				t.Errorf("peak is %d bytes with checkpoints and %d without: want at most 60 %%", less, full)
			}
		})
	}
}

func TestSegments(t *testing.T) {
	for _, tt := range []struct {
		size, blocks int
		want         []int
	}{
		{1, 3, []int{1, 1, 1}}, {2, 5, []int{2, 2, 1}}, {4, 4, []int{4}}, {9, 4, []int{4}},
		{0, 1, []int{1}}, {0, 9, []int{3, 3, 3}}, {0, 10, []int{4, 4, 2}},
	} {
		if got := (local.Checkpointed{Blocks: tt.size}).Lengths(tt.blocks); !slices.Equal(got, tt.want) {
			t.Errorf("%d blocks in segments of %d: %v, want %v", tt.blocks, tt.size, got, tt.want)
		}
	}
}

// large returns a batch of n images whose activations outweigh the parameters. The caller owns it.
func large(n int64) (x, y torch.Tensor) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	x = s.Full(torch.Float32, 0, n, 3, 32, 32)
	x.Normal(0, 1, 1)
	return x.Keep(), s.FromInts(make([]int64, n)).Keep()
}
