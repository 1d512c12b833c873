package images

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/locus-learn/locus/internal/fault"
)

// readIDX reads the two IDX files of a split, images and labels.
func (s *spec) readIDX(dir string, part split) (Images, error) {
	m := Images{Shape: s.shape}
	err := s.decodeFile(dir, part.files[0], func(r io.Reader) (err error) {
		m.Pixels, err = decodeIDX(r, part.images, s.shape.H, s.shape.W)
		return err
	})
	if err != nil {
		return Images{}, err
	}
	err = s.decodeFile(dir, part.files[1], func(r io.Reader) error {
		labels, err := decodeIDX(r, part.images)
		if err != nil {
			return err
		}
		if got, want := len(labels), len(m.Pixels)/s.shape.Size(); got != want {
			return fault.New("has %d labels: %s has %d images", got, part.files[0], want)
		}
		m.Labels = make([]uint16, len(labels))
		for i, label := range labels {
			if err := s.checkLabel(i, label); err != nil {
				return err
			}
			m.Labels[i] = uint16(label)
		}
		return s.checkOpening(labels)
	})
	if err != nil {
		return Images{}, err
	}
	return m, nil
}

// decodeIDX reads an IDX file of unsigned bytes: 0, 0, 8, the number of dimensions, each dimension as four bytes,
// largest first, then the values. It wants 1 to most records, each of the size given; that bounds what a hostile
// header can make it allocate, and what it reads of a compressed file.
func decodeIDX(r io.Reader, most int, record ...int) ([]byte, error) {
	header := make([]byte, 4+4*(1+len(record)))
	if n, err := io.ReadFull(r, header); err != nil {
		return nil, unreadable(err, n, fmt.Sprintf("a header of %d", len(header)))
	}
	magic := []byte{0, 0, 8, byte(1 + len(record))}
	if !bytes.Equal(header[:4], magic) {
		return nil, fault.New("starts with % x: IDX bytes of %d dimensions start with % x", header[:4], magic[3], magic)
	}
	count := binary.BigEndian.Uint32(header[4:])
	if count < 1 || count > uint32(most) {
		return nil, fault.New("promises %d records: must be 1 to %d", count, most)
	}
	total := int(count)
	for i, want := range record {
		if got := binary.BigEndian.Uint32(header[8+4*i:]); got != uint32(want) {
			return nil, fault.New("has size %d in dimension %d: must be %d", got, i+2, want)
		}
		total *= want
	}
	values := make([]byte, total)
	if n, err := io.ReadFull(r, values); err != nil {
		return nil, unreadable(err, len(header)+n, fmt.Sprint(len(header)+total))
	}
	// Reading on to the end also has gzip compare its checksum.
	switch _, err := io.ReadFull(r, make([]byte, 1)); err {
	case io.EOF:
		return values, nil
	case nil:
		return nil, fault.New("has more than the %d bytes that its header promises", len(header)+total)
	default:
		return nil, unreadable(err, len(header)+total, "an end after them")
	}
}

// checkLabel wants the label of a record to be one of the set's classes.
func (s *spec) checkLabel(record int, label uint8) error {
	if int(label) < len(s.classes) {
		return nil
	}
	return fault.New("record %d has label %d: must be 0 to %d", record, label, len(s.classes)-1)
}

// checkOpening refuses labels that start as those of another set with the same file names do.
func (s *spec) checkOpening(labels []uint8) error {
	for _, other := range specs {
		if other != s && other.opening != "" && strings.HasPrefix(string(labels), other.opening) {
			return fault.New("belongs to %s: data.set is %s", other.name, s.name)
		}
	}
	return nil
}
