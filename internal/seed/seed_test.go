package seed

import "testing"

func TestDeriveSeparatesStreams(t *testing.T) {
	seen := map[uint64]string{}
	add := func(what string, s uint64) {
		if prev, dup := seen[s]; dup {
			t.Errorf("%s and %s share a stream", what, prev)
		}
		seen[s] = what
	}
	add("root", Derive(1, "a"))
	add("other root", Derive(2, "a"))
	add("other name", Derive(1, "b"))
	add("index 0", Derive(1, "a", 0))
	add("index 1", Derive(1, "a", 1))
	add("two indices", Derive(1, "a", 0, 1))
	if first, again := Derive(1, "a", 7), Derive(1, "a", 7); first != again {
		t.Error("the same name gives two streams")
	}
}

func TestRandRepeats(t *testing.T) {
	a, b := Rand(3, "augment", 5), Rand(3, "augment", 5)
	for range 10 {
		if x, y := a.Uint64(), b.Uint64(); x != y {
			t.Fatalf("got %d and %d from the same stream", x, y)
		}
	}
}
