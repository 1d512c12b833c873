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
	if len(a) != len(b) {
		panic(&Error{Op: "foreach add", Text: "lists of unequal length"})
	}
	if len(a) > 0 {
		check("foreach add", C.lt_foreach_add_(&raw(a)[0], &raw(b)[0], C.int(len(a)), C.double(alpha)))
	}
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
