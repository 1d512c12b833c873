package images

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/internal/sniff"
)

// shareDirs is where distributions put what programs share.
var shareDirs = []string{"/usr/local/share", "/usr/share"}

// roots returns the folders to look in: dirs, those of $LOCUS_DATA, then where distributions install the set.
func (s *spec) roots(dirs []string) []string {
	roots := slices.Concat(dirs, filepath.SplitList(os.Getenv(data.EnvDir)))
	if s.scan != nil {
		return roots // no distribution has them
	}
	for _, share := range shareDirs {
		for _, sub := range []string{"datasets", s.name, "dataset-" + s.name} {
			roots = append(roots, filepath.Join(share, sub))
		}
	}
	return roots
}

// searchDirs returns dirs and then dir, the recipe's. A relative dir is also looked for in each of dirs and of $LOCUS_DATA,
// so that a recipe works wherever the sets are; if it is nowhere, dirs have to do. Without them it stands as it is, for
// the message to come, as does an absolute one.
func searchDirs(dirs []string, dir string) []string {
	if dir == "" {
		return dirs
	}
	found := slices.Clone(dirs)
	places := []string{""}
	if !filepath.IsAbs(dir) {
		places = slices.Concat(places, dirs, filepath.SplitList(os.Getenv(data.EnvDir)))
	}
	for _, place := range places {
		if info, err := os.Stat(filepath.Join(place, dir)); err == nil && info.IsDir() {
			found = append(found, filepath.Join(place, dir))
		}
	}
	if len(found) == 0 || len(found) == len(dirs) && filepath.IsAbs(dir) {
		return append(found, dir)
	}
	return found
}

// locate returns the first folder that holds one of the set's files, and the root it was found under. A root's usual
// sub-folders go before the root itself: their name says which set they hold, where the files' names may not.
func (s *spec) locate(roots []string) (dir, root string) {
	for _, root := range roots {
		for _, sub := range append(slices.Clone(s.folders), ".") {
			dir := filepath.Join(root, sub)
			if s.scan != nil && s.holds(dir) {
				return dir, root
			}
			for _, name := range s.files() {
				if _, err := find(dir, name); err == nil {
					return dir, root
				}
			}
		}
	}
	return "", ""
}

// mustLocate is locate for a set that is needed: it returns a fault, which wraps fs.ErrNotExist, if one of dirs is no
// folder or no folder holds the set.
func (s *spec) mustLocate(dirs []string) (dir, root string, err error) {
	for _, d := range dirs {
		if info, err := os.Stat(d); err != nil {
			return "", "", fault.New("data folder %q: %w: name the folder with --data or data.dir", d, cause(err))
		} else if !info.IsDir() {
			return "", "", fault.New("data folder %q: is %s: must be a folder", d, disk.Kind(info.Mode()))
		}
	}
	roots := s.roots(dirs)
	if dir, root = s.locate(roots); dir != "" {
		return dir, root, nil
	}
	if s.scan != nil {
		for _, root := range roots {
			if hint := s.hint(root); hint != "" {
				return "", "", fault.New("%s: %w in %s: %s", s.name, fs.ErrNotExist, show.Name(root), hint)
			}
		}
		return "", "", fault.New("%s: %s: %w in %q: name the folder with --data or data.dir", s.name, s.layout, fs.ErrNotExist, roots)
	}
	return "", "", fault.New("%s: %s: %w in %s, nor in their folders %s; to get it: %s", s.name, s.files()[0],
		fs.ErrNotExist, strings.Join(roots, ", "), strings.Join(s.folders, ", "), s.get)
}

// find returns the path of name, or of name.gz, in dir. The plain file goes first: it is faster to read.
func find(dir, name string) (string, error) {
	for _, suffix := range []string{"", ".gz"} {
		path := filepath.Join(dir, name+suffix)
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path, nil
		}
	}
	return "", fault.New("%s: %w in %s", name, fs.ErrNotExist, dir)
}

// decodeFile finds a file of the set in dir and hands its contents, unzipped, to decode. Every error is a fault that
// starts with the file's path.
func (s *spec) decodeFile(dir, name string, decode func(io.Reader) error) error {
	path, err := find(dir, name)
	if err != nil {
		return fault.New("%s: %w; to get it: %s", s.name, err, s.get)
	}
	f, err := disk.Open(path)
	if err != nil {
		return fault.New("%s: %w", show.Name(path), cause(err))
	}
	defer f.Close()
	r, err := unzip(f)
	if err == nil {
		err = decode(r)
	}
	if err != nil {
		start := make([]byte, sniff.Enough)
		n, _ := f.ReadAt(start, 0)
		if what := sniff.What(start[:n]); what != "" && !strings.Contains(what, "gzip") {
			err = fault.New("%s", what)
		}
		return fault.New("%s: %w", show.Name(path), err)
	}
	return nil
}

// unzip returns r's contents, decompressed if they start as gzip does, whatever the file is called: no format here
// starts so.
func unzip(r io.Reader) (io.Reader, error) {
	buf := bufio.NewReaderSize(r, 1<<18)
	if start, _ := buf.Peek(2); !bytes.Equal(start, []byte{0x1f, 0x8b}) {
		return buf, nil
	}
	z, err := gzip.NewReader(buf)
	if err != nil {
		return nil, fault.New("starts as gzip does, but cannot be unzipped: %w", err)
	}
	return z, nil
}

// unreadable explains a read that failed after found bytes, where expected says what should have come.
func unreadable(err error, found int, expected string) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fault.New("is truncated: has %d bytes, expected %s", found, expected)
	}
	return fault.New("cannot be read after %d bytes: %w", found, err)
}

// cause strips the operation and the path from a file error, because the message around it names them.
func cause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}
