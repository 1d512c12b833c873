package fault_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/locus-learn/locus/fault"
	"github.com/locus-learn/locus/recipe"
)

// What the library returns is found by the public type, also under another error.
func Example() {
	var options struct {
		Rate float64 `recipe:"rate" default:"0.1" above:"0" max:"1" doc:"how fast"`
	}
	err := fmt.Errorf("my program: %w", recipe.Set(&options, "rate=7"))
	var f *fault.Fault
	fmt.Println(errors.As(err, &f), fault.Is(err))
	// Output: true true
}

func TestOwnFaults(t *testing.T) {
	err := fault.New("colour is %q: must be red or blue: %w", "gr\neen", fs.ErrNotExist)
	if !fault.Is(err) || !errors.Is(err, fs.ErrNotExist) || err.Error() != `colour is "gr\neen": must be red or blue: file does not exist` {
		t.Errorf("%v", err)
	}
	if fault.Is(fs.ErrNotExist) {
		t.Error("an error of the system is no fault")
	}
}
