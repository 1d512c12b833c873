// Command man writes the manual pages of locus into a folder: one for the program and one for each command.
package main

import (
	"fmt"
	"os"

	"github.com/locus-learn/locus/cli"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "man: needs a folder, as in go run ./scripts/man dist/man")
		os.Exit(2)
	}
	if err := cli.Manual(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "man:", err)
		os.Exit(1)
	}
}
