// Command extend is the whole command of Locus with a method, a network, a head, an optimizer and a data set more. Each
// has a file here that registers it.
package main

import (
	"os"

	"github.com/locus-learn/locus/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:])) }
