package disk

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Scratch lets write fill a new file at path, in place of one that is there. Nothing is synced: the file is for the process
// that writes it. When anything fails it is removed.
func Scratch(path string, write func(io.Writer) error) (err error) {
	f, err := createNew(path)
	if errors.Is(err, fs.ErrExist) {
		if err = Remove(path); err == nil {
			f, err = createNew(path)
		}
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			at(path).Remove(path)
		}
	}()
	w := bufio.NewWriterSize(f, 256<<10)
	if err = write(w); err == nil {
		err = w.Flush()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}

func createNew(path string) (File, error) {
	return at(path).OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
}

// Ahead asks the system to read a file into its cache, and does not wait. It is a hint: nothing comes of it where it cannot
// be done.
func Ahead(path string) {
	f, err := Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	if f, ok := f.(interface{ Fd() uintptr }); ok {
		_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_WILLNEED)
	}
}
