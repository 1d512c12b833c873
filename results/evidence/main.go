// Command evidence writes the tables and pictures of measured figures from results/*.csv, and code from its files.
//
// A Markdown file asks for a table with a comment, whose text is YAML, and gets it between the comment and an end mark:
//
//	<!-- table: demo.csv
//	where: {seed: "1"}
//	columns:
//	- method: "{method}"
//	- seconds: "{median}[ ({low}–{high})]"
//	-->
//	...
//	<!-- end of table -->
//
// A picture is asked for in the same way; its file is written, and the comment stands alone. [Table] and [Picture] list the
// keys. <!-- code: FILE --> is followed by the content of a file, which the documents need not repeat by hand. `make evidence` runs the command over the whole tree; a test fails where a table or a picture is out of date.
package main

import (
	"fmt"
	"os"
)

//go:generate go run .

func main() {
	root := "."
	if _, err := os.Stat("go.mod"); err != nil {
		root = "../.." // go generate runs in this folder
	}
	stale, err := refresh(root, true)
	if err != nil {
		fmt.Fprintln(os.Stderr, "evidence:", err)
		os.Exit(1)
	}
	for _, name := range stale {
		fmt.Println("wrote", name)
	}
}
