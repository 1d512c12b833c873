package images

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/locus-learn/locus/internal/fault"
)

// readCIFAR reads the files of a split one after another.
func (s *spec) readCIFAR(dir string, part split) (Images, error) {
	m := Images{Shape: s.shape}
	most := part.images / len(part.files)
	m.Pixels = make([]byte, 0, sizeHint(dir, part.files))
	for _, name := range part.files {
		err := s.decodeFile(dir, name, func(r io.Reader) error { return s.decodeCIFAR(r, most, &m) })
		if err != nil {
			return Images{}, err
		}
	}
	return m, nil
}

// sizeHint returns the bytes that the files take on disk, so that a split is allocated once.
func sizeHint(dir string, files []string) (size int64) {
	for _, name := range files {
		if path, err := find(dir, name); err == nil {
			if info, err := os.Stat(path); err == nil {
				size += info.Size()
			}
		}
	}
	return size
}

// decodeCIFAR appends 1 to most records to m. A record is s.labels label bytes, the last of which counts, and one
// plane of H × W bytes for each channel. After an error, m holds the records before it.
func (s *spec) decodeCIFAR(r io.Reader, most int, m *Images) error {
	record := make([]byte, s.labels+s.shape.Size())
	for i := 0; ; i++ {
		n, err := io.ReadFull(r, record)
		switch {
		case err == io.EOF && i > 0:
			return nil
		case err != nil:
			return unreadable(err, i*len(record)+n, fmt.Sprintf("whole records of %d, %d in all for the complete file",
				len(record), most*len(record)))
		case i == most:
			return fault.New("has more than %d records, which is all that %s has", most, s.name)
		}
		label := record[s.labels-1]
		if err := s.checkLabel(i, label); err != nil {
			return err
		}
		m.Labels = append(m.Labels, uint16(label))
		m.Pixels = appendInterleaved(m.Pixels, record[s.labels:])
	}
}

// appendInterleaved appends three planes of bytes to pixels, channels last.
func appendInterleaved(pixels, planes []byte) []byte {
	n := len(planes) / 3
	r, g, b := planes[:n], planes[n:2*n], planes[2*n:]
	start := len(pixels)
	pixels = slices.Grow(pixels, len(planes))[:start+len(planes)]
	for i, dst := 0, pixels[start:]; i < n; i, dst = i+1, dst[3:] {
		dst[0], dst[1], dst[2] = r[i], g[i], b[i]
	}
	return pixels
}

// readClasses returns the names of the set's classes, label 0 first: those in its names file when dir has it.
func (s *spec) readClasses(dir string) ([]string, error) {
	if _, err := find(dir, s.namesFile); s.namesFile == "" || err != nil {
		return s.classes, nil
	}
	var names []string
	err := s.decodeFile(dir, s.namesFile, func(r io.Reader) (err error) {
		names, err = decodeNames(r, len(s.classes))
		return err
	})
	return names, err
}

// mostNames is how many bytes of a file of names are read.
const mostNames = 1 << 16

// decodeNames reads want printable names, one a line; empty lines do not count.
func decodeNames(r io.Reader, want int) ([]string, error) {
	var names []string
	lines := bufio.NewScanner(io.LimitReader(r, mostNames))
	for lines.Scan() {
		name := strings.TrimSpace(lines.Text())
		switch {
		case name == "":
			continue
		case len(names) == want:
			return nil, fault.New("has more than %d names: must have one a class", want)
		case strings.ContainsFunc(name, func(c rune) bool { return c == unicode.ReplacementChar || !unicode.IsPrint(c) }):
			return nil, fault.New("names class %d %q: must be printable", len(names), name)
		}
		names = append(names, name)
	}
	if err := lines.Err(); err != nil {
		return nil, fault.New("cannot be read: %w", err)
	}
	if len(names) < want {
		return nil, fault.New("has %d names: must have %d, one a class", len(names), want)
	}
	return names, nil
}
