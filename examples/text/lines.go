package main

import (
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/locus-learn/locus/data"
)

const (
	places = 48   // characters of a line that are looked at
	tokens = 129  // those of ASCII, of which 0 fills a line up, and one for all others
	least  = 12   // characters of a line that says anything
	most   = 3000 // lines of a language
)

// languages are the classes, by what files' names end with.
var languages = map[string]int64{".go": 0, ".cpp": 1, ".h": 1, ".cu": 1, ".py": 2, ".sh": 3, ".yaml": 4, ".yml": 4, ".md": 5}

var names = []string{"Go", "C++", "Python", "shell", "YAML", "Markdown"}

// open reads the lines of all files below a folder. Every fifth file is for testing: so no test line's neighbours were learned.
func open(folder string) (data.Source, error) {
	var learned, tested data.Table
	counts := map[int64]int{}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() && path != folder && (strings.HasPrefix(name, ".") || name == "runs") {
			return fs.SkipDir
		}
		language, known := languages[filepath.Ext(path)]
		if !known || !entry.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); len(line) < least || counts[language] >= most {
				continue
			}
			table := &learned
			if chosen(path, folder) {
				table = &tested
			}
			counts[language]++
			table.Ints = append(table.Ints, numbers(line)...)
			table.Labels = append(table.Labels, language)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if learned.Len() == 0 || tested.Len() == 0 {
		return nil, fmt.Errorf("%s has too few files of code: -from names a folder of a project", folder)
	}
	return data.Memory{Name: "lines", Shape: data.Shape{C: places}, Classes: names, Train: learned, Test: tested}.Source()
}

// chosen picks a fifth of the files, wherever the folder lies.
func chosen(path, folder string) bool {
	below, err := filepath.Rel(folder, path)
	if err != nil {
		below = path
	}
	sum := fnv.New32a()
	sum.Write([]byte(filepath.ToSlash(below)))
	return sum.Sum32()%5 == 0
}

// numbers are those of a line's characters, filled up with 0.
func numbers(line string) []int64 {
	all := make([]int64, 0, places)
	for _, r := range line {
		if len(all) == places {
			break
		}
		all = append(all, min(int64(r), tokens-1))
	}
	return append(all, make([]int64, places-len(all))...)
}
