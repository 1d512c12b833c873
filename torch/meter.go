package torch

// #include "shim.h"
import "C"

// LiveBytes returns the bytes of all live tensor storages on the CPU, autograd's included. It is exact.
func LiveBytes() int64 { return int64(C.lt_live_bytes()) }

// PeakBytes returns the highest LiveBytes since the start or the last [ResetPeak].
func PeakBytes() int64 { return int64(C.lt_peak_bytes()) }

// ResetPeak lets the peak start again from what is live now.
func ResetPeak() { C.lt_reset_peak() }

// LiveTensors returns the number of tensor handles that Go holds.
func LiveTensors() int64 { return int64(C.lt_live_tensors()) }

// FreshBytes returns how many bytes of large tensors lay, so far, in memory that the system had to hand out for them. Of a
// training that has found its rhythm it stays as it is: every tensor lies where freed ones did.
func FreshBytes() int64 { return int64(C.lt_fresh_bytes()) }
