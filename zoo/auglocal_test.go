package zoo

import (
	"fmt"
	"slices"
	"testing"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// Blocks as AugLocal's authors sample them: with 16 of them, round(l + (15 − l)/d·i) behind block l, half to even.
func TestSample(t *testing.T) {
	for _, tt := range []struct {
		from, n, d int
		how        string
		want       []int
	}{
		{1, 16, 3, "even", []int{5, 10, 15}}, {1, 16, 4, "even", []int{4, 8, 11, 15}}, {2, 16, 4, "", []int{4, 8, 12, 15}},
		{8, 16, 1, "even", []int{15}}, {13, 16, 5, "even", []int{13, 14, 15}}, {15, 16, 2, "even", []int{15}},
		{1, 16, 3, "next", []int{1, 2, 3}}, {8, 16, 1, "next", []int{8}}, {13, 16, 5, "next", []int{13, 14, 15}},
	} {
		if got := sample(tt.from, tt.n, tt.d, tt.how); !slices.Equal(got, tt.want) {
			t.Errorf("%d blocks behind the first %d of %d, %s: %v, want %v", tt.d, tt.from, tt.n, tt.how, got, tt.want)
		}
	}
}

func TestAugLocalDepth(t *testing.T) {
	for _, tt := range []struct {
		depth, min, K int
		want          []int
	}{
		{5, 0, 16, []int{5, 5, 5, 5, 4, 4, 4, 4, 4, 4, 4, 3, 3, 3, 3}},
		{9, 2, 16, []int{9, 8, 8, 8, 7, 6, 6, 6, 5, 4, 4, 4, 3, 2, 2}},
		{1, 0, 3, []int{1, 1}}, {4, 4, 3, []int{4, 4}}, {3, 1, 2, []int{3}},
	} {
		var got []int
		for k := 1; k < tt.K; k++ {
			got = append(got, augLocalDepth(HeadOptions{Depth: tt.depth, DepthMin: tt.min}, k, tt.K))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("depth %d to %d, K = %d: %v, want %v", tt.depth, tt.min, tt.K, got, tt.want)
		}
	}
}

// Every network that can repeat its blocks gets a head behind each, and the head classifies.
func TestAugLocalHeads(t *testing.T) {
	for _, o := range []Options{
		{Name: "resnet32", Depth: 14, Width: 2}, {Name: "plainnet32", Depth: 14, Width: 2}, {Name: "resnet18", Width: 2},
		{Name: "resnet50", Width: 2}, {Name: "vgg12", Width: 2}, {Name: "mlp", Width: 5},
	} {
		t.Run(o.Name, func(t *testing.T) {
			init := nn.Init{Seed: 1, Device: torch.CPU}
			net, err := New(o, nn.Shape{C: 3, H: 32, W: 32}, 7, init)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { nn.Free(net.Params()) }()
			kind, err := LookupHead("auglocal", false)
			if err != nil {
				t.Fatal(err)
			}
			s := torch.NewScope(torch.NoGrad)
			defer s.Close()
			p := nn.Train(s, torch.Float32, nn.NewDraws(1))
			x := s.Full(torch.Float32, 1, 2, 3, 32, 32)
			for i, b := range net.Blocks[:len(net.Blocks)-1] {
				x = b.Layer.Forward(p, x)
				at := Cut{Net: net, Module: i + 1, Modules: len(net.Blocks), End: i + 1}
				head, err := kind.New(HeadOptions{Depth: 3}, at, init)
				if err != nil {
					t.Fatal(err)
				}
				if got := head.Forward(p, s.Alias(x)).Shape(); !slices.Equal(got, []int64{2, 7}) {
					t.Errorf("the head behind %s puts out %v", b.Name, got)
				}
				names := map[string]bool{}
				for _, q := range nn.Params(head) {
					if names[q.Name] {
						t.Errorf("%s is there twice", q.Name)
					}
					names[q.Name] = true
				}
				nn.Free(nn.Params(head))
			}
		})
	}
}

// Decoders rebuild images of the network's size and channels: small, large, and from tokens.
func TestDecoders(t *testing.T) {
	init := nn.Init{Seed: 1, Device: torch.CPU}
	for _, tt := range []struct {
		input, out nn.Shape
		params     int // tensors
	}{
		{nn.Shape{C: 3, H: 32, W: 32}, nn.Shape{C: 16, H: 8, W: 8}, 8}, {nn.Shape{C: 1, H: 28, W: 28}, nn.Shape{C: 4, H: 7, W: 7}, 8},
		{nn.Shape{C: 3, H: 224, W: 224}, nn.Shape{C: 6, H: 14, W: 14}, 20},
		{nn.Shape{C: 3, H: 32, W: 32}, nn.Shape{C: 6, H: 8, W: 8, Tokens: 65}, 8},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			net := &Network{Input: tt.input, Blocks: []nn.Block{{Name: "b", Out: tt.out}}}
			at := Cut{Net: net, Module: 4, Modules: 5, End: 1}
			d, err := NewAux("decoder", at, init)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { nn.Free(nn.Params(d)) }()
			s := torch.NewScope(torch.NoGrad)
			defer s.Close()
			shape := []int64{2, int64(tt.out.C), int64(tt.out.H), int64(tt.out.W)}
			if tt.out.Tokens > 0 {
				shape = []int64{2, int64(tt.out.Tokens), int64(tt.out.C)}
			}
			y := d.Forward(nn.Train(s, torch.Float32, nil), s.Full(torch.Float32, 1, shape...))
			want := []int64{2, int64(tt.input.C), int64(tt.input.H), int64(tt.input.W)}
			if !slices.Equal(y.Shape(), want) || len(nn.Params(d)) != tt.params || nn.Params(d)[0].Name != "decoders.4.conv1.weight" {
				t.Errorf("puts out %v, has %d tensors, the first %s", y.Shape(), len(nn.Params(d)), nn.Params(d)[0].Name)
			}
		})
	}
	vector := &Network{Input: nn.Shape{C: 3, H: 32, W: 32}, Blocks: []nn.Block{{Name: "fc1", Out: nn.Shape{C: 4}}}}
	if _, err := NewAux("decoder", Cut{Net: vector, Module: 1, Modules: 2, End: 1}, init); err == nil {
		t.Error("a decoder of a vector is built")
	}
	if none, err := NewAux("", Cut{}, init); none != nil || err != nil {
		t.Errorf("nothing is asked for and built: %v, %v", none, err)
	}
}
