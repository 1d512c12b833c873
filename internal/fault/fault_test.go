package fault

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
)

func TestIs(t *testing.T) {
	f := New("data.batch is %d: must be at least 1", 0)
	if got, want := f.Error(), "data.batch is 0: must be at least 1"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	if !Is(fmt.Errorf("train: %w", f)) {
		t.Error("a wrapped fault is not recognised")
	}
	if Is(errors.New("disk on fire")) || Is(nil) {
		t.Error("an ordinary error is taken for a fault")
	}
	if !errors.Is(New("open x: %w", fs.ErrNotExist), fs.ErrNotExist) {
		t.Error("the cause is lost")
	}
}
