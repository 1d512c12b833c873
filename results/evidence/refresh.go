package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

const endOfComment = "-->\n"

// endOf marks where what was made for a comment ends.
func endOf(kind string) string { return "<!-- end of " + kind + " -->\n" }

// request is how a comment that asks for something begins: its kind, then YAML.
var request = regexp.MustCompile(`<!-- (table|picture|code): `)

// refresh makes the tables of every Markdown file under root again, and the pictures they ask for. It returns the
// files that differed, by their paths from root, and writes them if write is true.
func refresh(root string, write bool) (stale []string, err error) {
	made := map[string][]byte{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if path != root && skipped(d.Name()) {
				return fs.SkipDir
			}
			return nil
		case filepath.Ext(path) != ".md":
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text, err = renew(root, filepath.Dir(path), text, made)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		made[path] = text
		return nil
	})
	if err != nil {
		return nil, err
	}
	for path, content := range made {
		old, err := os.ReadFile(path)
		if err == nil && bytes.Equal(old, content) {
			continue
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return nil, err
		}
		stale = append(stale, name)
		if write {
			if err := os.WriteFile(path, content, 0o644); err != nil {
				return nil, err
			}
		}
	}
	return stale, nil
}

// skipped says which folders hold products of running, and nothing that is written by hand.
func skipped(name string) bool {
	return strings.HasPrefix(name, ".") || name == "bin" || name == "runs" || name == "demo"
}

// renew returns the text of a Markdown file in dir with its tables made again, and adds the pictures it asks for to files.
func renew(root, dir string, text []byte, files map[string][]byte) ([]byte, error) {
	var out bytes.Buffer
	for {
		at := request.FindSubmatchIndex(text)
		if at == nil {
			out.Write(text)
			return out.Bytes(), nil
		}
		out.Write(text[:at[0]])
		kind := string(text[at[2]:at[3]])
		spec, rest, ok := bytes.Cut(text[at[1]:], []byte(endOfComment))
		first, _, _ := bytes.Cut(spec, []byte("\n"))
		if !ok {
			return nil, fmt.Errorf("%s %s: no line ends with %q", kind, first, strings.TrimSpace(endOfComment))
		}
		out.Write(text[at[0]:at[1]])
		out.Write(spec)
		out.WriteString(endOfComment)
		made, err := fulfil(root, dir, kind, spec, files)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", kind, first, err)
		}
		if made != "" {
			out.WriteString("\n" + made + "\n" + endOf(kind))
			rest = behindOld(rest, kind)
		}
		text = rest
	}
}

// fulfil returns what stands behind a comment of the given kind: a table or code. Of a picture, whose file it adds to
// files, that is nothing.
func fulfil(root, dir, kind string, spec []byte, files map[string][]byte) (string, error) {
	switch folder := filepath.Join(root, "results"); kind {
	case "table":
		return renderTable(folder, spec)
	case "code":
		source, err := os.ReadFile(filepath.Join(root, strings.TrimSpace(string(spec))))
		return "```" + strings.TrimPrefix(filepath.Ext(strings.TrimSpace(string(spec))), ".") + "\n" + string(source) + "```\n", err
	default:
		name, svg, err := renderPicture(folder, spec)
		files[filepath.Join(dir, name)] = svg
		return "", err
	}
}

// behindOld cuts what was made before off text, if it begins with it: if its next comment is an end mark.
func behindOld(text []byte, kind string) []byte {
	next := bytes.Index(text, []byte("<!-- "))
	if next < 0 || !bytes.HasPrefix(text[next:], []byte(endOf(kind))) {
		return text
	}
	return text[next+len(endOf(kind)):]
}
