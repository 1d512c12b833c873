package cli

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/runfolder"
	"github.com/locus-learn/locus/internal/show"
)

// free refuses the name of a file to write that cannot be written to, or that is taken. With force the file may be replaced, unless
// it is part of a run: what a run has written is its own.
func free(path string, force bool) error {
	switch info, err := os.Stat(path); {
	case err == nil && !info.Mode().IsRegular():
		return fault.New("%s is %s: must be the name of the file to write", show.Name(path), disk.Kind(info.Mode()))
	case err == nil && !force:
		return fault.New("%s exists already: give --force to replace it, or another name", show.Name(path))
	}
	if dir := runfolder.Owner(path); dir != "" {
		return fault.New("%s is a file of what is in %s: give another name", show.Name(path), show.Name(dir))
	}
	return nil
}

// drawable refuses the name of a picture to draw, given by --plot, before anything is measured for it. An older picture may be replaced.
func drawable(path string) error {
	if path == "" {
		return nil
	}
	if ending := filepath.Ext(path); !strings.EqualFold(ending, ".svg") {
		return fault.New("--plot is %s: must end in .svg, which is what is drawn", show.Name(path))
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return fault.New("--plot is %s: must be in a folder that is there", show.Name(path))
	}
	return free(path, true)
}
