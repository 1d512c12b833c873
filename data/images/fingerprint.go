package images

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"hash/fnv"
)

// Fingerprint implements [data.Identified]: of images in memory by their labels and bytes, of images in files by their
// labels, names and sizes. Files are not read for it.
func (m Images) Fingerprint() string {
	h := fnv.New64a()
	binary.Write(h, binary.LittleEndian, m.Labels)
	if m.photos == nil {
		fmt.Fprintf(h, "%d", crc32.Checksum(m.Pixels, crc32.MakeTable(crc32.Castagnoli)))
	} else {
		for _, f := range m.photos.files {
			fmt.Fprintf(h, "%q %d\n", f.name, f.size)
		}
	}
	return fmt.Sprintf("%016x", h.Sum64())
}
