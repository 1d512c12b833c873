package data

import (
	"math"
	"strconv"

	"github.com/locus-learn/locus/internal/fault"
)

// Portion says how much of a set to take: below 1 a fraction of its images, from 1 on a count of them.
// The zero value takes nothing. As text it is a plain number: "0", "0.1", "5000".
type Portion float64

// Count returns how many of n images p takes, rounded to the nearest, and at least 1 unless p is 0.
// A count can exceed n.
func (p Portion) Count(n int) int {
	switch {
	case p == 0:
		return 0
	case p < 1:
		return max(1, int(math.Round(float64(p)*float64(n))))
	}
	return int(p)
}

// MarshalText writes the shortest decimal number that reads back as p.
func (p Portion) MarshalText() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(p), 'f', -1, 64), nil
}

// UnmarshalText reads what MarshalText writes; any other text is a fault that says what is
// allowed, and leaves p as it was.
func (p *Portion) UnmarshalText(text []byte) error {
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil || Portion(v).check() != nil {
		return errPortion
	}
	*p = Portion(v + 0) // turns -0 into 0
	return nil
}

// errPortion leaves it to the caller to name the key and the value.
var errPortion = fault.New("must be a fraction from 0 to below 1, or a whole number of images")

// check returns errPortion unless p is something that UnmarshalText could have read.
func (p Portion) check() error {
	v := float64(p)
	if v >= 0 && (v < 1 || v == math.Trunc(v) && v <= math.MaxInt32) {
		return nil
	}
	return errPortion
}
