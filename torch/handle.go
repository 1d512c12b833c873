package torch

// #include "shim.h"
import "C"

import "unsafe"

// Handle returns the tensor as the shim has it, an lt_tensor, for a package of ours that adds operations in C++. It stays t's.
func (t Tensor) Handle() unsafe.Pointer { return unsafe.Pointer(t.c()) }

// Own takes over an lt_tensor that such a package has made.
func (s *Scope) Own(handle unsafe.Pointer) Tensor { return s.wrap(C.lt_tensor(handle)) }

// Refusal is the [*Error] that such a package panics with, made of the message that a function of its own has returned.
func Refusal(op, message string) *Error { return refusal(op, message) }
