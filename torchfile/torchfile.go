// Package torchfile reads the tensors of a .pth or .pt file, a state dict that torch.save has written.
//
// Such a file is a zip archive with a pickle, which is a program: who runs it does what its author wants. Here nothing is
// run. The pickle is read as data by a small stack machine that knows dictionaries, lists, numbers, texts and tensors, and
// refuses anything else. It takes no more memory than the file has bytes, and its tensors are read one by one.
package torchfile

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/safetensors"
)

// Limits of what is read.
const (
	mostPickle  = 64 << 20 // bytes
	mostEntries = 1 << 17  // of the archive
)

// File is an open state dict. Its methods may be called from several goroutines at once, Close excepted.
type File struct {
	path    string
	closer  io.Closer
	at      string // which dictionary of the file it is, such as state_dict; "" for the file's own
	names   []string
	tensors map[string]*tensor
	data    map[string]*zip.File // storages by their keys
}

// Open reads what the file at path says of its tensors. The caller closes the file. What cannot be read is a fault that names
// path and what is wrong with it.
func Open(path string) (*File, error) {
	f, size, err := disk.OpenSized(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	file, err := read(f, size)
	if err != nil {
		f.Close()
		return nil, unreadable(path, err)
	}
	file.path, file.closer = path, f
	return file, nil
}

func unreadable(path string, err error) error {
	if cause, ok := disk.Cause(err); ok {
		err = cause
	}
	return fault.New("%s cannot be read: %w", show.Name(path), err)
}

// read finds the parts of an archive.
func read(r io.ReaderAt, size int64) (*File, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, notZip(r, err)
	}
	if len(z.File) > mostEntries {
		return nil, fmt.Errorf("it has %d entries: must have at most %d", len(z.File), mostEntries)
	}
	f := &File{data: map[string]*zip.File{}}
	var pickle *zip.File
	for _, e := range z.File {
		_, name, _ := strings.Cut(e.Name, "/") // behind the archive's own name
		switch key, isData := strings.CutPrefix(name, "data/"); {
		case strings.HasPrefix(name, "code/"):
			return nil, errors.New("it is a TorchScript archive: must be a state dict; in Python, torch.save(torch.jit.load(FILE).state_dict(), NEW)")
		case name == "data.pkl":
			pickle = e
		case name == "byteorder":
			if order, err := content(e, 16); err != nil || strings.TrimSpace(string(order)) != "little" {
				return nil, errors.New("its numbers are not little-endian: save it again on another machine")
			}
		case isData:
			f.data[key] = e
		}
	}
	if pickle == nil {
		return nil, errors.New("it is a zip archive without data.pkl: must be what torch.save writes")
	}
	text, err := content(pickle, mostPickle)
	if err != nil {
		return nil, err
	}
	top, err := unpickle(text)
	if err != nil {
		return nil, err
	}
	return f, f.take(top)
}

// notZip says what a file is that is no archive.
func notZip(r io.ReaderAt, err error) error {
	start := make([]byte, 2)
	if _, err := r.ReadAt(start, 0); err == nil && start[0] == 0x80 && start[1] >= 2 && start[1] <= 5 {
		return errors.New("PyTorch older than 1.6 has written it, or a plain pickle: save it again with a newer one, or as safetensors")
	}
	return fmt.Errorf("it is no state dict of torch.save: %w", err)
}

// content reads an entry of the archive that is stored as it is, as torch.save does: what is compressed could be any size.
func content(e *zip.File, most uint64) ([]byte, error) {
	if e.Method != zip.Store || e.UncompressedSize64 > most || e.UncompressedSize64 != e.CompressedSize64 {
		return nil, fmt.Errorf("its entry %s is compressed or has more than %d bytes: torch.save writes no such entry", show.Name(e.Name), most)
	}
	r, err := e.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, int64(most)))
}

// inside are the names under which training programs put a state dict beside other things, the better ones first.
var inside = []string{"state_dict", "model_state_dict", "model", "model_ema", "state_dict_ema", "module", "net", "weights"}

// take finds the state dict in what was unpickled.
func (f *File) take(top any) error {
	d, ok := top.(*dict)
	if !ok {
		return fmt.Errorf("it holds %s: must be a dictionary of tensors", kindOf(top))
	}
	if err := f.fill(d); err != nil || len(f.names) > 0 {
		return err
	}
	for _, name := range inside {
		if inner, ok := d.get(name).(*dict); ok {
			f.at = name
			if err := f.fill(inner); err != nil || len(f.names) > 0 {
				return err
			}
		}
	}
	return errors.New("it holds a dictionary without tensors: must be a state dict")
}

// fill takes the tensors of a dictionary; what else there is, such as a version, does not count.
func (f *File) fill(d *dict) error {
	f.tensors = map[string]*tensor{}
	for i, key := range d.keys {
		t, ok := d.values[i].(*tensor)
		name, isText := key.(string)
		if !ok || !isText {
			continue
		}
		if f.tensors[name] != nil {
			return fmt.Errorf("it has tensor %s twice", show.Name(name))
		}
		if err := f.check(t); err != nil {
			return fmt.Errorf("tensor %s: %w", show.Name(name), err)
		}
		f.names, f.tensors[name] = append(f.names, name), t
	}
	return nil
}

// At is which dictionary of the file the tensors are in, such as state_dict; "" for the file's own.
func (f *File) At() string { return f.at }

// Names returns the names of the tensors in the file's order.
func (f *File) Names() []string { return slices.Clone(f.names) }

// Metadata is empty: such files have none.
func (f *File) Metadata() map[string]string { return map[string]string{} }

// Info describes a tensor and reports whether the file has it.
func (f *File) Info(name string) (safetensors.Info, bool) {
	t, ok := f.tensors[name]
	if !ok {
		return safetensors.Info{}, false
	}
	return safetensors.Info{DType: t.storage.dtype, Shape: t.shape, Bytes: t.count * int64(t.storage.dtype.Size())}, true
}

// Read returns a tensor's elements, little-endian and contiguous in row-major order, in a slice that the caller owns.
func (f *File) Read(name string) ([]byte, error) {
	t, ok := f.tensors[name]
	if !ok {
		return nil, fault.New("%s has no tensor %s", show.Name(f.path), show.Name(name))
	}
	bytes, err := f.gather(t)
	if err != nil {
		return nil, unreadable(f.path, fmt.Errorf("tensor %s: %w", show.Name(name), err))
	}
	return bytes, nil
}

// Close releases the file.
func (f *File) Close() error { return f.closer.Close() }
