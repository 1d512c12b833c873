package data

import (
	"strings"

	"github.com/locus-learn/locus/internal/fault"
	"math"
	"testing"
)

func TestPortion(t *testing.T) {
	for _, tt := range []struct {
		text  string
		of, n int
	}{
		{"0", 100, 0}, {"-0", 100, 0}, {"0.0", 100, 0},
		{"0.1", 100, 10}, {"0.999", 10, 10}, {"1e-9", 100, 1}, {"0.25", 10, 3},
		{"1", 100, 1}, {"5000", 60000, 5000}, {"5e3", 60000, 5000}, {"7", 5, 7},
	} {
		var p Portion
		if err := p.UnmarshalText([]byte(tt.text)); err != nil {
			t.Errorf("%q: %v", tt.text, err)
		} else if got := p.Count(tt.of); got != tt.n {
			t.Errorf("%q of %d is %d images, want %d", tt.text, tt.of, got, tt.n)
		}
	}
	for _, text := range []string{"", "x", "-1", "-0.1", "1.5", "10%", "NaN", "Inf", "1e300", "5 000"} {
		p := Portion(7)
		if err := p.UnmarshalText([]byte(text)); !fault.Is(err) || !strings.Contains(err.Error(), "fraction") {
			t.Errorf("%q: got %v", text, err)
		}
		if p != 7 {
			t.Errorf("%q changed the portion to %g", text, p)
		}
	}
}

func FuzzPortion(f *testing.F) {
	for _, text := range []string{"0", "0.1", "5000", "-1", "1e9", "0x1p-3", "nan"} {
		f.Add(text, 100)
	}
	f.Fuzz(func(t *testing.T, text string, n int) {
		var p, q Portion
		if p.UnmarshalText([]byte(text)) != nil {
			return
		}
		out, err := p.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		if err := q.UnmarshalText(out); err != nil || q != p || math.Signbit(float64(p)) {
			t.Fatalf("%q reads as %g, written %q, read again %g (%v)", text, p, out, q, err)
		}
		if n = n & 0xfffff; n > 0 {
			got := p.Count(n)
			if (p == 0) != (got == 0) || p < 1 && got > n || p >= 1 && Portion(got) != p {
				t.Fatalf("%q of %d is %d images", text, n, got)
			}
		}
	})
}
