package zoo_test

import (
	"math"
	"testing"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// Eq. 7 holds for every pair of classes, on the smallest grid of cells that has room for a simplex.
func TestETFHead(t *testing.T) {
	for _, tt := range []struct {
		name          string
		in            nn.Shape
		side, classes int
		features      int64 // 0: refused
	}{
		{"mean suffices", nn.Shape{C: 16, H: 8, W: 8}, 0, 10, 16},
		{"just enough", nn.Shape{C: 9, H: 4, W: 4}, 0, 10, 9},
		{"CIFAR-100 on 16 channels", nn.Shape{C: 16, H: 32, W: 32}, 0, 100, 16 * 9},
		{"a side of one's own", nn.Shape{C: 16, H: 8, W: 8}, 4, 10, 256},
		{"vector", nn.Shape{C: 12}, 0, 10, 12},
		{"two classes", nn.Shape{C: 1, H: 2, W: 2}, 0, 2, 1},
		{"maps too small", nn.Shape{C: 16, H: 2, W: 2}, 0, 100, 0},
		{"side too small", nn.Shape{C: 4, H: 8, W: 8}, 1, 10, 0},
		{"side too large", nn.Shape{C: 16, H: 8, W: 8}, 9, 10, 0},
		{"vector too short", nn.Shape{C: 8}, 0, 10, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			head, err := tryHead(zoo.HeadOptions{Name: "etf", Side: tt.side}, true, 2, tt.in, tt.classes, nn.Init{Seed: 1, Device: torch.CPU})
			if tt.features == 0 {
				if err == nil {
					nn.Free(nn.Params(head))
					t.Fatal("it is built")
				}
				t.Log(err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer nn.Free(nn.Params(head))
			m := nn.Params(head)[0]
			if len(nn.Params(head)) != 1 || m.Trainable || m.Name != "heads.2.etf" || m.Value.Shape()[1] != tt.features {
				t.Fatalf("parameters %v, features %v", nn.Params(head), m.Value.Shape())
			}
			checkSimplex(t, m.Value.Float64s(), tt.classes)
		})
	}
}

func checkSimplex(t *testing.T, m []float64, classes int) {
	t.Helper()
	d := len(m) / classes
	for i := range classes {
		for j := range classes {
			want, got := 1.0, 0.0
			if i != j {
				want = -1 / float64(classes-1)
			}
			for k := range d {
				got += m[i*d+k] * m[j*d+k]
			}
			if math.Abs(got-want) > 1e-6 {
				t.Errorf("m%d·m%d is %v, want %v", i+1, j+1, got, want)
			}
		}
	}
}
