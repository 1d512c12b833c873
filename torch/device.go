package torch

/*
#include "shim.h"
*/
import "C"

import (
	"errors"
	"strconv"
	"strings"
)

// Device is where a tensor lives. The zero value is the processor's memory.
type Device int

const (
	// CPU is the processor's memory.
	CPU Device = 0
	// TestDevice is the device that a test has registered: libtorch's PrivateUse1. It is not part of the product.
	TestDevice Device = -1
)

// CUDA returns the CUDA device of that index, which counts from 0.
func CUDA(index int) Device { return Device(index + 1) }

// ParseDevice reads "cpu", "cuda", which is the first CUDA device, or "cuda:N". It does not ask whether the device is there:
// see [Device.Available].
func ParseDevice(name string) (Device, error) {
	switch name {
	case "cpu":
		return CPU, nil
	case "cuda":
		return CUDA(0), nil
	}
	digits, ok := strings.CutPrefix(name, "cuda:")
	if index, err := strconv.ParseUint(digits, 10, 7); ok && err == nil {
		return CUDA(int(index)), nil
	}
	return CPU, errors.New("must be cpu, cuda or cuda:N with N from 0 to 127")
}

// UnmarshalText implements [encoding.TextUnmarshaler]: see [ParseDevice].
func (d *Device) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDevice(string(text))
	return err
}

// MarshalText implements [encoding.TextMarshaler]. The first CUDA device is "cuda:0".
func (d Device) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// IsCUDA reports whether d is a CUDA device.
func (d Device) IsCUDA() bool { return d > 0 }

// String returns "cpu", "cuda:0", "cuda:1" and so on, or "test".
func (d Device) String() string {
	switch {
	case d == CPU:
		return "cpu"
	case d.IsCUDA():
		return "cuda:" + strconv.Itoa(int(d)-1)
	}
	return "test"
}

// Device returns where the tensor lives.
func (t Tensor) Device() Device {
	if t.IsAway() {
		return t.h.away.device
	}
	return Device(C.lt_device(t.c()))
}

// Device returns where the scope places new tensors.
func (s *Scope) Device() Device { return s.device }

// FreeConstants frees the small tensors, masks and row numbers, that are kept on devices between steps. They are made again when
// they are needed.
func FreeConstants() { C.lt_forget_constants() }
