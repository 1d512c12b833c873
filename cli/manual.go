package cli

import (
	"io"

	"github.com/spf13/cobra/doc"
)

// Manual writes manual pages into a folder, which must exist: locus.1, and one for each command, such as locus-train.1.
func Manual(dir string) error {
	root := newRoot(io.Discard, io.Discard)
	root.DisableAutoGenTag = true // which has the day in it
	return doc.GenManTree(root, &doc.GenManHeader{Title: "LOCUS", Section: "1", Source: "Locus", Manual: "Locus"}, dir)
}
