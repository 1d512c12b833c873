package torch_test

import (
	"fmt"

	"github.com/locus-learn/locus/torch"
)

// A scope owns what is computed in it and frees it all when it closes. Keep takes a result out.
func Example() {
	s := torch.NewScopeOn(torch.CPU, torch.NoGrad)
	x := s.FromDoubles([]float64{1, 2, 3, 4}, 2, 2)
	y := s.Add(x, x, 10).Keep() // x + 10·x
	s.Close()
	fmt.Println(y.Shape(), y.Float64s())
	y.Free()
	// Output:
	// [2 2] [11 22 33 44]
}

// A scope that records can go back: Grad returns the gradients of a scalar.
func ExampleScope_Grad() {
	s := torch.NewScopeOn(torch.CPU, torch.Grad)
	defer s.Close()
	x := s.FromDoubles([]float64{1, 2, 3}, 3).SetRequiresGrad(true)
	sum := s.Sum(s.Mul(x, x))
	gradients := s.Grad(sum, []torch.Tensor{x}, torch.GradOptions{})
	fmt.Println(sum.Item(), gradients[0].Float64s())
	// Output:
	// 14 [2 4 6]
}
