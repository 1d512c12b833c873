package dist

// #include "dist.h"
import "C"

import (
	"unsafe"

	"github.com/locus-learn/locus/torch"
)

// Pack copies tensors of one type into one flat tensor, each in its order of memory, and some numbers behind them. The scope
// owns it.
func Pack(s *torch.Scope, ts []torch.Tensor, tail []float64) torch.Tensor {
	list := make([]C.lt_tensor, len(ts)+1)
	for i, t := range ts {
		list[i] = raw(t)
	}
	return owned(s, "pack", func(out *C.lt_tensor) *C.char {
		return C.dist_pack(&list[0], C.int(len(ts)), (*C.double)(unsafe.SliceData(tail)), C.int(len(tail)), out)
	})
}

// Unpack returns views of a flat tensor in the shapes and layouts of like, which [Pack] was given. The scope owns them.
func Unpack(s *torch.Scope, flat torch.Tensor, like []torch.Tensor) []torch.Tensor {
	if len(like) == 0 {
		return nil
	}
	list, made := make([]C.lt_tensor, len(like)), make([]C.lt_tensor, len(like))
	for i, t := range like {
		list[i] = raw(t)
	}
	if err := refused("unpack", C.dist_unpack(raw(flat), &list[0], C.int(len(list)), &made[0])); err != nil {
		panic(err)
	}
	var out []torch.Tensor
	for _, m := range made {
		out = append(out, s.Own(unsafe.Pointer(m)))
	}
	return out
}

// Tail returns the last n numbers of a flat tensor.
func Tail(flat torch.Tensor, n int) []float64 {
	out := make([]float64, n)
	if err := refused("tail", C.dist_tail(raw(flat), C.int(n), (*C.double)(&out[0]))); err != nil {
		panic(err)
	}
	return out
}

// dense returns the elements without gaps, the tensor itself where it has none, and their form.
func dense(s *torch.Scope, t torch.Tensor) (torch.Tensor, form) {
	d := owned(s, "dense", func(out *C.lt_tensor) *C.char { return C.dist_dense(raw(t), out) })
	f := form{dtype: d.DType(), sizes: d.Shape()}
	f.strides = make([]int64, len(f.sizes))
	if len(f.sizes) > 0 {
		C.dist_strides(raw(d), (*C.int64_t)(&f.strides[0]))
	}
	return d, f
}

// empty makes a tensor of a form.
func empty(s *torch.Scope, device torch.Device, f form) torch.Tensor {
	sizes, strides := (*C.int64_t)(unsafe.SliceData(f.sizes)), (*C.int64_t)(unsafe.SliceData(f.strides))
	return owned(s, "empty", func(out *C.lt_tensor) *C.char {
		return C.dist_empty(C.int(device), C.int(f.dtype), C.int(len(f.sizes)), sizes, strides, out)
	})
}

// flat returns the elements of a dense tensor in the order of memory.
func flat(s *torch.Scope, t torch.Tensor) torch.Tensor {
	return owned(s, "flat", func(out *C.lt_tensor) *C.char { return C.dist_flat(raw(t), out) })
}

// onHost returns the tensor in memory of the processor, itself where it is there.
func onHost(s *torch.Scope, t torch.Tensor) torch.Tensor {
	return owned(s, "to host", func(out *C.lt_tensor) *C.char { return C.dist_to_host(raw(t), out) })
}

// Spread gives all ranks the tensors of one of them, which must have the same shapes and layouts everywhere.
func Spread(g Group, ts []torch.Tensor, from int) (err error) {
	defer torch.Catch(&err)
	if g.Size() == 1 {
		return nil
	}
	for _, t := range ts {
		s := t.Device().Scope(torch.NoGrad)
		d, _ := dense(s, t)
		if err = g.Broadcast(flat(s, d), from).Wait(); err == nil {
			t.Copy(d) // itself, unless it had gaps
		}
		s.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
