package cli

import (
	"math"
	"strconv"
	"strings"

	"github.com/locus-learn/locus/internal/fault"
)

// byteSize is a flag such as 16GiB or 500MB; 0 is none.
type byteSize int64

var byteUnits = []struct {
	name  string
	bytes float64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}}

// Set implements pflag.Value.
func (b *byteSize) Set(text string) error {
	for _, u := range byteUnits {
		number, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		x, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || !(x*u.bytes >= 1 && x*u.bytes < math.MaxInt64) {
			break
		}
		*b = byteSize(x * u.bytes)
		return nil
	}
	return fault.New("must be a size such as 16GiB or 500MB")
}

// Type implements pflag.Value.
func (b *byteSize) Type() string { return "bytes" }

// String implements pflag.Value.
func (b *byteSize) String() string {
	if *b == 0 {
		return ""
	}
	return mebibytes(int64(*b)) + " MiB"
}
