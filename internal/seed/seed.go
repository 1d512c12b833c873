// Package seed derives independent random streams from one root seed by name,
// so that no stream depends on how often, or in which order, another was used.
package seed

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
)

// Derive returns the seed of the stream that root, name and the indices identify.
// Any change of root, name or an index gives an unrelated stream.
func Derive(root uint64, name string, index ...uint64) uint64 {
	buf := binary.LittleEndian.AppendUint64(make([]byte, 0, 64), root)
	for _, i := range index {
		buf = binary.LittleEndian.AppendUint64(buf, i)
	}
	buf = append(buf, name...)
	sum := sha256.Sum256(buf)
	return binary.LittleEndian.Uint64(sum[:])
}

// Rand returns a generator for the stream that root, name and the indices identify.
func Rand(root uint64, name string, index ...uint64) *rand.Rand {
	return rand.New(rand.NewPCG(Derive(root, name, index...), root))
}
