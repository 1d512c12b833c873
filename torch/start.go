//go:build !lazyengine

package torch

// libtorch is linked to the program, and so it is there from the beginning.
func init() { start() }

// need makes sure that the engine is there.
func need() {}

// Loaded reports whether libtorch is in this process.
func Loaded() bool { return true }
