package safetensors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/internal/sniff"
)

// File is a safetensors file that is open for reading. Its methods may be called from several goroutines at once,
// Close excepted.
type File struct {
	path     string
	data     io.ReaderAt // the bytes behind the header
	closer   io.Closer
	names    []string
	infos    map[string]Info
	metadata map[string]string
}

// Open reads and checks the header of the file at path; tensors are read one by one, by Read. The caller closes the file.
//
// A file that is missing, cut short or against the format is a fault that names path and what is wrong with it.
func Open(path string) (*File, error) {
	f, size, err := disk.OpenSized(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	file, err := newFile(path, f, size)
	if err != nil {
		defer f.Close()
		if what := mistaken(f); what != "" {
			return nil, fault.New("%s cannot be read: it %s", show.Name(path), what)
		}
		return nil, unreadable(path, err)
	}
	file.closer = f
	return file, nil
}

// mistaken says what a file is that is not a safetensors file; "" if that is not known.
func mistaken(f io.ReaderAt) string {
	start := make([]byte, sniff.Enough)
	n, _ := f.ReadAt(start, 0)
	what := sniff.What(start[:n])
	switch {
	case n == 0, strings.Contains(what, "safetensors"):
		return ""
	case strings.HasPrefix(string(start), "PK\x03\x04"):
		return "is a zip archive, as PyTorch keeps tensors: save them as safetensors, with safetensors.torch.save_file"
	}
	return what
}

// unreadable turns what was found wrong with a file into a fault that names the file once.
func unreadable(path string, err error) error {
	if cause, ok := disk.Cause(err); ok {
		err = cause
	}
	return fault.New("%s cannot be read: %w", show.Name(path), err)
}

// newFile reads the header of a file of size bytes.
func newFile(path string, r io.ReaderAt, size int64) (*File, error) {
	if size == 0 {
		return nil, errors.New("it is empty, not a safetensors file")
	}
	if size < 8 {
		return nil, fmt.Errorf("it has only %d bytes, a safetensors file at least 10", size)
	}
	var field [8]byte
	if _, err := r.ReadAt(field[:], 0); err != nil {
		return nil, err
	}
	// Compared before any memory is set aside: the length may be anything in a file of another kind.
	length := binary.LittleEndian.Uint64(field[:])
	switch {
	case length > maxHeader:
		return nil, fmt.Errorf("its header claims %d bytes, at most %d are allowed: not a safetensors file?", length, maxHeader)
	case int64(length) > size-8:
		return nil, fmt.Errorf("its header claims %d bytes where %d follow: cut short?", length, size-8)
	}
	text := make([]byte, length)
	if _, err := r.ReadAt(text, 8); err != nil && err != io.EOF { // io.EOF: nothing behind the header
		return nil, err
	}
	f := &File{path: path, infos: map[string]Info{}, metadata: map[string]string{}}
	if err := f.parse(text); err != nil {
		return nil, err
	}
	rest := size - 8 - int64(length)
	f.data = io.NewSectionReader(r, 8+int64(length), rest)
	return f, f.checkCover(rest)
}

// Names returns the names of the tensors in the order of the header.
func (f *File) Names() []string { return slices.Clone(f.names) }

// Metadata returns a copy of the file's metadata; it is empty, not nil, where the file has none.
func (f *File) Metadata() map[string]string { return maps.Clone(f.metadata) }

// Info describes a tensor and reports whether the file has it.
func (f *File) Info(name string) (Info, bool) {
	info, ok := f.infos[name]
	return info, ok
}

// Read returns a tensor's elements, little-endian and contiguous in row-major order, in a slice that the caller owns.
func (f *File) Read(name string) ([]byte, error) { return f.ReadInto(name, nil) }

// ReadInto is Read into a buffer, which grows where it is too small; the result is a part of it.
func (f *File) ReadInto(name string, buffer []byte) ([]byte, error) {
	info, ok := f.infos[name]
	if !ok {
		return nil, fault.New("%s has no tensor %q", f.path, name)
	}
	if int64(cap(buffer)) < info.Bytes {
		buffer = make([]byte, info.Bytes)
	}
	data := buffer[:info.Bytes]
	if n, err := f.data.ReadAt(data, info.begin); n < len(data) {
		return nil, unreadable(f.path, fmt.Errorf("tensor %q: %w", name, err))
	}
	return data, nil
}

// Close releases the file. Slices that Read returned stay valid.
func (f *File) Close() error { return f.closer.Close() }
