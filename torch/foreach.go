package torch

// #include "shim.h"
import "C"

// ForeachScale overwrites each tensor with factor times itself.
func ForeachScale(ts []Tensor, factor float64) {
	if len(ts) > 0 {
		check("foreach scale", C.lt_foreach_scale_(&raw(ts)[0], C.int(len(ts)), C.double(factor)))
	}
}

// ForeachAdd overwrites each a with a + alpha·b.
func ForeachAdd(a, b []Tensor, alpha float64) {
	if equalLengths(a, b) {
		check("foreach add", C.lt_foreach_add_(&raw(a)[0], &raw(b)[0], C.int(len(a)), C.double(alpha)))
	}
}

// ForeachAddProduct overwrites each a with a + alpha·b·c.
func ForeachAddProduct(a, b, c []Tensor, alpha float64) {
	if equalLengths(a, b, c) {
		check("foreach addcmul", C.lt_foreach_addcmul_(&raw(a)[0], &raw(b)[0], &raw(c)[0], C.int(len(a)), C.double(alpha)))
	}
}

// ForeachAddQuotient overwrites each a with a + alpha·b/c.
func ForeachAddQuotient(a, b, c []Tensor, alpha float64) {
	if equalLengths(a, b, c) {
		check("foreach addcdiv", C.lt_foreach_addcdiv_(&raw(a)[0], &raw(b)[0], &raw(c)[0], C.int(len(a)), C.double(alpha)))
	}
}

// ForeachRoot overwrites each a with factor·√b + eps.
func ForeachRoot(a, b []Tensor, factor, eps float64) {
	if equalLengths(a, b) {
		check("foreach sqrt", C.lt_foreach_sqrt_of_(&raw(a)[0], &raw(b)[0], C.int(len(a)), C.double(factor), C.double(eps)))
	}
}

// equalLengths panics where lists differ in length, and reports whether there is anything to do.
func equalLengths(first []Tensor, others ...[]Tensor) bool {
	for _, o := range others {
		if len(o) != len(first) {
			panic(&Error{Op: "foreach", Text: "lists of unequal length"})
		}
	}
	return len(first) > 0
}

// AllFinite reports whether no tensor has a NaN or an infinity.
func AllFinite(ts []Tensor) bool {
	if len(ts) == 0 {
		return true
	}
	var ok C.bool
	check("all finite", C.lt_all_finite(&raw(ts)[0], C.int(len(ts)), &ok))
	return bool(ok)
}
