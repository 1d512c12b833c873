package images

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"io"
	"slices"
)

// Fingerprint implements [data.Identified]: of images in memory by their labels and bytes, of images in files by their
// labels, names and sizes. Files are not read for it.
//
// That of a folder has two numbers. The first is without sizes and all that earlier versions stored.
func (m Images) Fingerprint() string {
	if m.photos == nil {
		return m.hash(func(h io.Writer) { fmt.Fprintf(h, "%d", crc32.Checksum(m.Pixels, crc32.MakeTable(crc32.Castagnoli))) })
	}
	files := func(size func(file) int64) string {
		return m.hash(func(h io.Writer) {
			for _, f := range m.photos.files {
				fmt.Fprintf(h, "%q %d\n", f.name, size(f))
			}
		})
	}
	sized := files(func(f file) int64 { return f.size })
	if slices.ContainsFunc(m.photos.files, func(f file) bool { return f.shard != standalone }) {
		return sized
	}
	return files(func(file) int64 { return 0 }) + "-" + sized
}

func (m Images) hash(content func(io.Writer)) string {
	h := fnv.New64a()
	binary.Write(h, binary.LittleEndian, m.Labels)
	for _, set := range m.Sets {
		fmt.Fprintf(h, "%d\n", set)
	}
	content(h)
	return fmt.Sprintf("%016x", h.Sum64())
}
