package torch

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"cmp"
	"errors"
	"fmt"
	"os"
)

// EnvCUDA is the environment variable that decides whether libtorch's half for CUDA is loaded: "1" loads it, "0" does not.
// Otherwise it is loaded where NVIDIA's driver is, since loading takes most of a second.
const EnvCUDA = "LOCUS_CUDA"

// driver is the library through which NVIDIA's driver is used.
const driver = "libcuda.so.1"

// noCUDA says why libtorch's half for CUDA is not loaded; "" where it is.
var noCUDA string

// loadCUDA must run before libtorch is asked anything: an engine that has looked for CUDA once does not look again.
func loadCUDA() {
	switch wish := os.Getenv(EnvCUDA); {
	case wish == "0":
		noCUDA = EnvCUDA + " is 0"
	case wish != "1" && !bool(C.lt_has_driver()):
		noCUDA = "NVIDIA's driver is not on this machine: " + driver + " is not found"
	default:
		if problem := C.lt_load_cuda(); problem != nil {
			noCUDA = takeString(problem)
		}
	}
}

// CUDALibrary describes libtorch's half for CUDA and the driver under it.
type CUDALibrary struct {
	Problem string // why no CUDA device can be used; "" where one can
	Driver  string // release of NVIDIA's driver; "" where there is none
	Version string // of the CUDA that libtorch was built with; "" where it is not loaded
	CuDNN   string // likewise
	Cards   []Card
	Graphs  string // why steps on them cannot be recorded; "" where they can
}

// Card is a CUDA device.
type Card struct {
	Device Device
	Name   string
	Bytes  int64 // of memory
}

// DescribeCUDA reports what there is for CUDA.
func DescribeCUDA() CUDALibrary {
	need()
	l := CUDALibrary{Problem: noCUDA, Driver: takeString(C.lt_driver())}
	if v := int(C.lt_cuda_version()); v > 0 {
		l.Version = fmt.Sprintf("%d.%d", v/1000, v%1000/10)
	}
	if v := int(C.lt_cudnn_version()); v > 0 {
		l.CuDNN = fmt.Sprintf("%d.%d.%d", v/10000, v/100%100, v%100)
	}
	for i := range int(C.lt_cards()) {
		var name [256]C.char
		var total C.int64_t
		card := Card{Device: CUDA(i), Name: "unknown"}
		if C.lt_card(C.int(i), &name[0], C.int(len(name)), &total) {
			card.Name, card.Bytes = C.GoString(&name[0]), int64(total)
		}
		l.Cards = append(l.Cards, card)
	}
	if len(l.Cards) > 0 {
		if err := l.Cards[0].Device.Records(); err != nil {
			l.Graphs = err.Error()
		}
	}
	if l.Problem == "" && len(l.Cards) == 0 {
		l.Problem = noCards(l.Driver)
	}
	return l
}

func noCards(release string) string {
	if !bool(C.lt_has_driver()) {
		return "NVIDIA's driver is not on this machine: " + driver + " is not found"
	}
	return fmt.Sprintf("NVIDIA's driver %s shows no card to this process (CUDA_VISIBLE_DEVICES is %q), or is too old for libtorch's CUDA",
		cmp.Or(release, "of unknown release"), os.Getenv("CUDA_VISIBLE_DEVICES"))
}

// Available returns why this process cannot use the device, in one line, or nil.
func (d Device) Available() error {
	if !d.IsCUDA() {
		return nil
	}
	need()
	if noCUDA != "" {
		return errors.New(noCUDA)
	}
	switch cards := int(C.lt_cards()); {
	case cards == 0:
		return errors.New(noCards(takeString(C.lt_driver())))
	case int(d) > cards:
		return fmt.Errorf("the last of this process's CUDA devices is %v", CUDA(cards-1))
	}
	return nil
}

// Arithmetic says how CUDA devices compute. It holds for the process: libtorch keeps it so.
type Arithmetic struct {
	TF32          bool // convolutions and products of float32 round their factors to 10 bits; otherwise they are IEEE's
	Deterministic bool // the same bits in every run; otherwise kernels are chosen by how fast they were
}

// arithmetic is what was set last.
var arithmetic Arithmetic

// SetArithmetic sets how CUDA devices compute from here on. On the CPU it changes nothing. Nothing may compute meanwhile.
func SetArithmetic(a Arithmetic) {
	arithmetic = a
	C.lt_set_arithmetic(C.bool(a.TF32), C.bool(a.Deterministic))
}

// Exactly makes CUDA devices compute float32 as IEEE has it until the returned function is called, for differences that would
// drown in TF32's rounding. Others that compute meanwhile do so, too.
func Exactly() (restore func()) {
	if !arithmetic.TF32 {
		return func() {}
	}
	C.lt_set_arithmetic(false, C.bool(arithmetic.Deterministic))
	return func() { C.lt_set_arithmetic(C.bool(arithmetic.TF32), C.bool(arithmetic.Deterministic)) }
}

// Synchronize waits until the device has done all that was asked of it. On the CPU there is nothing to wait for.
func (d Device) Synchronize() {
	if d.IsCUDA() {
		check("synchronize", C.lt_synchronize(C.int(d)))
	}
}
