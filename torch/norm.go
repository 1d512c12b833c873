package torch

/*
#cgo CXXFLAGS: -fopenmp -Wno-psabi
#cgo !lazyengine LDFLAGS: -fopenmp
#include "shim.h"
*/
import "C"

// NormOptions says how [Scope.BatchNormAct] normalises, and what follows.
type NormOptions struct {
	Train         bool    // by the batch's statistics instead of the running ones
	Momentum, Eps float64 // of the running statistics; under the root
	Residual      Tensor  // is added behind the normalisation; may be no tensor
	ReLU          bool    // comes last
	Gates         Tensor  // shuts the ReLU units that it shut when it was recorded, instead of those below zero
	Record        bool    // return the gates
	Peers         *Peers  // that have the other parts of the batch, in training; nil where there are none
}

// BatchNormAct normalises x [N, C, H, W] a channel as [Scope.BatchNorm] does, adds a residual and applies a ReLU. On
// the CPU, float32 and bfloat16 in channels-last layout take one kernel forward and one backward, whose results do
// not depend on the number of threads; its gradient may take the place of the one that comes in. Everything else is
// composed of libtorch's operations, and so are those where the environment variable LOCUS_KERNELS is "off". Both can be
// differentiated twice, the gates being constants. Neither keeps its result unless a residual was added.
//
// w, b, mean and var_ are float32; mean and var_ may be no tensors in training. What is recorded is opaque: a bit or
// a byte an element, to be replayed on an x of the same shape.
func (s *Scope) BatchNormAct(x, w, b, mean, var_ Tensor, o NormOptions) (y, gates Tensor) {
	var out, recorded C.lt_tensor
	check("batch_norm", C.lt_batch_norm_act(C.bool(s.grad), x.c(), o.Residual.c(), w.c(), b.c(), mean.c(), var_.c(),
		C.bool(o.Train), C.double(o.Momentum), C.double(o.Eps), C.bool(o.ReLU), o.Gates.c(), C.bool(o.Record),
		o.Peers.c(), &out, &recorded))
	if recorded != nil {
		gates = s.wrap(recorded)
	}
	return s.wrap(out), gates
}

// BatchNormActTangent returns the derivative of [Scope.BatchNormAct] by the batch's statistics at x, along a direction of
// x's shape and that of the residual, if there is one. Gates are those that the pass at x recorded, for it had a ReLU; no
// tensor for one without. It can be differentiated once, with respect to both directions, x and w. Peers are those of the
// pass at x.
func (s *Scope) BatchNormActTangent(along, residual, x, w, gates Tensor, eps float64, peers *Peers) Tensor {
	return s.unary("batch_norm's tangent", func(g C.bool, out *C.lt_tensor) *C.char {
		return C.lt_batch_norm_act_tangent(g, along.c(), residual.c(), x.c(), w.c(), gates.c(), C.double(eps), peers.c(), out)
	})
}
