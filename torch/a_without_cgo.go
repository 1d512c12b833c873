//go:build !cgo

package torch

// Locus calls libtorch by cgo, and this build has cgo switched off: CGO_ENABLED is 0, no C compiler was found, or the
// target is not this machine. The type below is not defined, so that the compiler prints it: install g++, and build with
// CGO_ENABLED=1 (docs/set-up.md).
type _ Locus_needs_cgo_and_a_Cxx_compiler__install_gxx_and_set_CGO_ENABLED_to_1
