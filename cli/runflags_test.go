package cli

import (
	"slices"
	"testing"

	"github.com/spf13/cobra"
)

// --set and --device share a list, and each counts wherever it stands on the command line.
func TestAssignmentsKeepTheirOrder(t *testing.T) {
	for _, args := range [][]string{
		{"--device", "cuda", "--set", "a=1", "--set", "b=2"},
		{"--set", "a=1", "--device", "cuda", "--set", "b=2"},
		{"--set", "a=1", "--set", "b=2", "--device", "cuda"},
	} {
		var sets []string
		cmd := &cobra.Command{}
		addSet(cmd, &sets)
		if err := cmd.ParseFlags(args); err != nil {
			t.Fatal(err)
		}
		var want []string
		for i := 0; i < len(args); i += 2 {
			if args[i] == "--device" {
				want = append(want, "device="+args[i+1])
			} else {
				want = append(want, args[i+1])
			}
		}
		if !slices.Equal(sets, want) {
			t.Errorf("%q makes %q, want %q", args, sets, want)
		}
	}
}
