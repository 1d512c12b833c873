// Command locus trains deep networks by local learning.
package main

import (
	"os"

	"github.com/locus-learn/locus/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:])) }
