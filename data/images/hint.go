package images

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/locus-learn/locus/internal/show"
)

// hint says what is wrong with a folder that almost holds the set, and what to do; "" if nothing is known.
func (s *spec) hint(dir string) string {
	var folders, images []string
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		switch {
		case isDir(dir, e):
			folders = append(folders, e.Name())
		case isImage(e.Name()):
			images = append(images, e.Name())
		}
	}
	inside := func() string {
		for _, name := range folders {
			if s.holds(filepath.Join(dir, name)) {
				return fmt.Sprintf("its folder %s has the set: name that with --data or data.dir", show.Name(name))
			}
		}
		return ""
	}
	if s.name == "csv" {
		return hintTables(dir)
	}
	if s.name == "tar" {
		if hint := hintShards(dir, entries); hint != "" {
			return hint
		}
		if holdsFolders(dir) {
			return "it has folders train and val: set data.set=folder"
		}
		return inside()
	}
	if hint := hintParts(folders); hint != "" {
		return hint
	}
	switch {
	case holdsShards(dir):
		return "it has shards train*.tar and val*.tar: set data.set=tar"
	case len(images) > 0:
		return fmt.Sprintf("it has %d images, such as %s, and no folders for them: must be %s", len(images), show.Name(images[0]), s.layout)
	}
	if hint := inside(); hint != "" {
		return hint
	}
	for _, name := range folders {
		within, _ := os.ReadDir(filepath.Join(dir, name))
		for _, e := range within {
			if isImage(e.Name()) {
				return fmt.Sprintf("its folders, such as %s, have images, but there is no train and no val: move the folders into train, "+
					"and some images of each into val", show.Name(name))
			}
		}
	}
	return ""
}

// hintParts finds the parts under other names.
func hintParts(folders []string) string {
	has := map[string]string{}
	for _, name := range folders {
		has[strings.ToLower(name)] = name
	}
	for _, part := range []string{trainPart, valPart} {
		if name := has[part]; name != "" && name != part {
			return fmt.Sprintf("it has %s: rename it to %s, in lower case", show.Name(name), part)
		}
	}
	for _, other := range []string{"training", "trainset", "train_images"} {
		if name := has[other]; name != "" && has[trainPart] == "" {
			return fmt.Sprintf("it has %s but no %s: rename it, or link it: ln -s %s %s", show.Name(name), trainPart, name, trainPart)
		}
	}
	if has[trainPart] == "" {
		return ""
	}
	for _, other := range []string{"valid", "validation", "test", "testing", "dev", "eval"} {
		if name := has[other]; name != "" {
			return fmt.Sprintf("it has %s but no %s: rename it, or link it: ln -s %s %s", show.Name(name), valPart, name, valPart)
		}
	}
	return fmt.Sprintf("it has %s but no %s: move some images of each class into %s/CLASS, or split a tenth off with data.test=0.1",
		trainPart, valPart, valPart)
}

// hintShards finds shards that are compressed, or go by other names.
func hintShards(dir string, entries []os.DirEntry) string {
	for _, part := range []string{trainPart, valPart} {
		plain, useless := findShards(dir, part)
		if len(plain) > 0 {
			continue
		}
		if packed := useless[compressed]; len(packed) > 0 {
			return fmt.Sprintf("%s is compressed: unpack it to a .tar first, such as with gunzip", show.Name(packed[0]))
		}
		if odd := useless[noFile]; len(odd) > 0 {
			return fmt.Sprintf("%s is no file, and may be a folder, a pipe or a link that leads nowhere", show.Name(odd[0]))
		}
	}
	for _, part := range []string{trainPart, valPart} {
		if plain, _ := findShards(dir, part); len(plain) > 0 {
			continue
		}
		inside, _ := os.ReadDir(filepath.Join(dir, part))
		for _, e := range inside {
			if name := e.Name(); strings.Contains(name, ".tar") {
				return fmt.Sprintf("its folder %s has %s: shards lie in the folder itself, with names that start with train and val: move it to %s",
					part, show.Name(name), show.Name(part+"-"+name))
			}
		}
		for _, e := range entries {
			if name := e.Name(); strings.Contains(name, ".tar") || strings.HasSuffix(name, ".tgz") {
				return fmt.Sprintf("it has %s, but no %s*.tar: shards are uncompressed, with names that start with train and val",
					show.Name(name), part)
			}
		}
	}
	return ""
}
