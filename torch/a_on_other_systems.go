//go:build !linux

package torch

// Locus runs on Linux alone: the memory meter, the threads and the durability of checkpoints are written for it. The type
// below is not defined, so that the compiler prints it: use a Linux machine or a container (docs/set-up.md).
type _ Locus_runs_on_Linux_alone__not_on_macOS_or_Windows
