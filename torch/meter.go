package torch

// #include "shim.h"
import "C"

// LiveBytes returns the bytes of all live tensor storages on the CPU, autograd's included. It is exact.
func LiveBytes() int64 { return int64(C.lt_live_bytes()) }

// PeakBytes returns the highest LiveBytes since the start or the last [ResetPeak].
func PeakBytes() int64 { return int64(C.lt_peak_bytes()) }

// ResetPeak lets the peak start again from what is live now.
func ResetPeak() { C.lt_reset_peak() }

// Memory of a device, in bytes.
type Memory struct {
	Live  int64 // of all live tensor storages, autograd's and the libraries' workspaces included
	Peak  int64 // the highest Live since the start or the last [Device.ResetPeak]
	Total int64 // that the device has; 0 for the CPU
	Free  int64 // of it, not held by any process; what this one holds in reserve is not free
}

// Memory reports what tensors take on the device. Live and Peak count the bytes that tensors asked for; a CUDA device rounds
// each up to 512.
func (d Device) Memory() Memory {
	if !d.IsCUDA() {
		return Memory{Live: LiveBytes(), Peak: PeakBytes()}
	}
	var live, peak, total, free C.int64_t
	check("memory", C.lt_memory(C.int(d), &live, &peak, &total, &free))
	return Memory{int64(live), int64(peak), int64(total), int64(free)}
}

// ResetPeak lets the device's peak start again from what is live now.
func (d Device) ResetPeak() {
	if !d.IsCUDA() {
		ResetPeak()
		return
	}
	check("reset peak", C.lt_reset_peak_of(C.int(d)))
}

// LiveTensors returns the number of tensor handles that Go holds.
func LiveTensors() int64 { return int64(C.lt_live_tensors()) }

// FreshBytes returns how many bytes of large tensors lay, so far, in memory that the system had to hand out for them. Of a
// training that has found its rhythm it stays as it is: every tensor lies where freed ones did.
func FreshBytes() int64 { return int64(C.lt_fresh_bytes()) }
