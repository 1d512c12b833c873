package zoo_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/nn/nntest"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// Outputs, gradients and statistics are PyTorch's.
func TestConvGroupsAgreesWithPyTorch(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	g := nntest.Open(t, s, "testdata/convgroups.safetensors")
	worst := g.CheckNet(t, nntest.Net{
		Name: "convgroups", Layer: whole(build(t, zoo.Options{Name: "convgroups", Width: 4}, 32, 10)),
		Input: []int64{3, 3, 32, 32}, DType: torch.Float64, Tol: 1e-10,
	})
	t.Logf("worst relative error %.1e", worst)
}

// The published net learns 1,970,000 numbers: convolutions, biases and classifier.
func TestConvGroupsSize(t *testing.T) {
	net := build(t, zoo.Options{Name: "convgroups"}, 32, 10)
	var trained, fixed int64
	for _, p := range net.Params() {
		switch {
		case p.Trainable:
			trained += p.Value.Numel()
		case p.Name == "whiten.weight":
			fixed += p.Value.Numel()
		case strings.HasSuffix(p.Name, "norm.weight") && slices.ContainsFunc(p.Value.Float64s(), func(v float64) bool { return v != 1 }):
			t.Errorf("%s is not 1", p.Name)
		}
	}
	convs := 9 * (24*64 + 64*64 + 64*256 + 3*256*256)
	if want := int64(convs + 24 + 2*64 + 4*256 + 2560); trained != want || fixed != 24*12 {
		t.Errorf("%d trained weights, want %d; %d fixed, want %d", trained, want, fixed, 24*12)
	}
	for k, ends := range net.Cuts {
		if len(ends) != k-1 {
			t.Errorf("K = %d has %d cuts", k, len(ends))
		}
	}
}

// Local heads divide by 9 what their last layer gets, as the classifier does; those of other networks and those that put out
// embeddings do not.
func TestHeadsAreScaledAsTheClassifier(t *testing.T) {
	for name, want := range map[string]float64{"convgroups": 1.0 / 9, "resnet32": 0} {
		for _, kind := range zoo.Heads() {
			o := zoo.HeadOptions{Name: kind.Name, Depth: 1, Widths: []int{8, 8}}
			net := build(t, zoo.Options{Name: name, Width: 4, Depth: 8}, 32, 10)
			head, err := kind.New(o, zoo.Cut{Net: net, Module: 1, Modules: 3, End: 3}, nn.Init{Seed: 1, Device: torch.CPU})
			if err != nil {
				t.Fatal(err)
			}
			front, _, ok := nn.SplitLinear(head)
			if !ok || len(front) == 0 {
				continue // etf and none have no linear layer
			}
			scale, is := front[len(front)-1].(nn.Scale)
			if expect := want != 0 && !kind.Embeds; is != expect || is && scale.Factor != want {
				t.Errorf("%s: the head %s has %v in front of its linear layer", name, kind.Name, front[len(front)-1])
			}
			nn.Free(nn.Params(head))
		}
	}
}

// The whitening has every direction with both signs, and directions that are orthogonal; it is the same for every seed.
func TestWhitening(t *testing.T) {
	for _, c := range []int{1, 3, 4} {
		var rows [][]float64
		for _, seed := range []uint64{1, 2} {
			net, err := zoo.New(zoo.Options{Name: "convgroups", Width: 4}, nn.Shape{C: c, H: 16, W: 16}, 10, nn.Init{Seed: seed, Device: torch.CPU})
			if err != nil {
				t.Fatal(err)
			}
			w := nn.Params(net.Blocks[0].Layer)[0]
			values := w.Value.Float64s()
			if n := 4 * c; w.Trainable || len(values) != 2*n*n {
				t.Fatalf("%s has %d elements, trained %v", w.Name, len(values), w.Trainable)
			}
			var again [][]float64
			for row := range slices.Chunk(values, 4*c) {
				again = append(again, row)
			}
			if rows != nil && !slices.EqualFunc(rows, again, slices.Equal) {
				t.Error("another seed whitens otherwise")
			}
			rows = again
			net.Free()
		}
		n := 4 * c
		for i := range n {
			for j := range n {
				var dot float64
				for k := range n {
					dot += rows[i][k] * rows[j][k]
				}
				if i != j && math.Abs(dot) > 1e-3 || i == j && dot < 0.05 {
					t.Errorf("%d channels: rows %d and %d have the product %v", c, i, j, dot)
				}
			}
			for k := range n {
				if rows[i][k] != -rows[n+i][k] {
					t.Errorf("%d channels: row %d has no negative", c, i)
				}
			}
		}
	}
}

func TestConvGroupsRefuses(t *testing.T) {
	for _, c := range []struct {
		o    zoo.Options
		want string
	}{
		{zoo.Options{Name: "convgroups", Image: 8}, "model.image is 8×8: convgroups needs at least 9×9"},
		{zoo.Options{Name: "convgroups", Image: 32, Depth: 9}, "model.depth is 9: must be 8 for convgroups, whose layers are given"},
	} {
		if _, err := zoo.New(c.o, nn.Shape{C: 3}, 10, nn.Init{Device: torch.CPU}); err == nil || err.Error() != c.want {
			t.Errorf("%+v: %v, want %q", c.o, err, c.want)
		}
	}
}
