package torch

/*
#include "shim.h"
*/
import "C"

import "fmt"

// GradOptions say what [Scope.Grad] starts from and keeps.
type GradOptions struct {
	Output      Tensor // ∂L/∂y, shaped as y; may be missing where y is a scalar loss
	CreateGraph bool   // the gradients can be differentiated again; keeps the graph
	Retain      bool   // the graph of y stays for another call
}

// Grad returns ∂L/∂input for each input, in order, where L is y or what o.Output says of it; an input that y does not
// depend on gets no tensor. Inputs may be leaves or intermediate results. Unless told otherwise the graph is freed
// while it is walked.
func (s *Scope) Grad(y Tensor, inputs []Tensor, o GradOptions) []Tensor {
	if len(inputs) == 0 {
		return nil
	}
	in, out := raw(inputs), make([]C.lt_tensor, len(inputs))
	check("grad", C.lt_grad(y.c(), o.Output.c(), &in[0], C.int(len(in)), C.bool(o.CreateGraph), C.bool(o.Retain), &out[0]))
	grads := make([]Tensor, len(out))
	for i, ptr := range out {
		if ptr != nil {
			grads[i] = s.wrap(ptr)
		}
	}
	return grads
}

// Recorded returns the number of results so far, of all goroutines, that autograd has a graph of. What does not raise it
// was computed without autograd.
func Recorded() int64 { return int64(C.lt_recorded()) }

func raw(ts []Tensor) []C.lt_tensor {
	out := make([]C.lt_tensor, len(ts))
	for i, t := range ts {
		if t.h == nil {
			panic(&Error{Op: "list", Text: fmt.Sprintf("tensor %d of %d is missing", i, len(ts))})
		}
		out[i] = t.c()
	}
	return out
}
