package safetensors

import (
	"io"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
)

// Write puts a whole file at path, or leaves there what there was: package disk's Replace has the particulars.
//
// What the file system refuses is a fault that names path; other errors are WriteTo's.
func Write(path string, tensors []Tensor, metadata map[string]string) error {
	err := disk.Replace(path, func(w io.Writer) error { return WriteTo(w, tensors, metadata) })
	if cause, ok := disk.Cause(err); ok {
		return fault.New("%s cannot be written: %w", path, cause)
	}
	return err
}
