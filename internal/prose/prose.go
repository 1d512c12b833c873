// Package prose holds the project's Markdown files to what CONTRIBUTING.md asks of them: short lines, short sentences,
// and links that lead somewhere.
//
// Tables, code and comments may be wider than a line; everything else is prose.
package prose

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxColumns = 119 // of a line
	maxWords   = 29  // of a sentence
)

// document is a Markdown file, taken apart.
type document struct {
	lines      map[int]string // of prose, by their number from 1
	paragraphs []paragraph
	anchors    map[string]bool // where links within the document may lead
	links      []link
}

// paragraph is a run of prose that no blank line, list item or table interrupts.
type paragraph struct {
	line int // where it begins
	text string
}

type link struct {
	line   int
	target string
}

var (
	item    = regexp.MustCompile(`^\s*([-*+]|[0-9]+\.)\s+`)
	heading = regexp.MustCompile(`^#+\s+(.*)$`)
	target  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
)

// parse takes a Markdown file apart.
func parse(text string) document {
	d := document{lines: map[int]string{}, anchors: map[string]bool{}}
	var p *paragraph
	var fenced, comment, listed bool
	for i, line := range strings.Split(text, "\n") {
		n, trimmed := i+1, strings.TrimSpace(line)
		switch {
		case comment || strings.HasPrefix(trimmed, "<!--"):
			comment = !strings.Contains(line, "-->")
			p = nil
			continue
		case strings.HasPrefix(trimmed, "```"):
			fenced = !fenced
			p = nil
			continue
		case fenced, !listed && strings.HasPrefix(line, "    "):
			p = nil
			continue
		}
		for _, m := range target.FindAllStringSubmatch(line, -1) {
			d.links = append(d.links, link{n, m[1]})
		}
		if strings.HasPrefix(trimmed, "|") {
			p = nil
			continue
		}
		d.lines[n] = line
		switch {
		case trimmed == "":
			p = nil
			continue
		case heading.MatchString(line):
			d.anchors[slug(heading.FindStringSubmatch(line)[1])] = true
			p, listed = nil, false
			continue
		case item.MatchString(line):
			p, listed = nil, true
			line = item.ReplaceAllString(line, "")
		case p == nil && !strings.HasPrefix(line, " "):
			listed = false
		}
		if p == nil {
			d.paragraphs = append(d.paragraphs, paragraph{line: n})
			p = &d.paragraphs[len(d.paragraphs)-1]
		}
		p.text += " " + strings.TrimSpace(line)
	}
	return d
}

// slug is the anchor that GitHub gives a heading.
func slug(heading string) string {
	var out strings.Builder
	for _, r := range strings.ToLower(strings.ReplaceAll(heading, "`", "")) {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			out.WriteRune(r)
		case r == ' ':
			out.WriteRune('-')
		}
	}
	return out.String()
}

var (
	code = regexp.MustCompile("`[^`]*`")
	// A sentence ends where a mark, perhaps with a bracket or an emphasis behind it, is followed by a space.
	end = regexp.MustCompile(`[.!?][)"*_]*\s+`)
)

// sentences splits a paragraph. Code counts as one word.
func sentences(text string) []string {
	text = target.ReplaceAllString(code.ReplaceAllString(text, "code"), "]")
	var out []string
	for {
		at := end.FindStringIndex(text)
		if at == nil {
			return append(out, strings.TrimSpace(text))
		}
		out = append(out, strings.TrimSpace(text[:at[1]]))
		text = text[at[1]:]
	}
}

// words counts what has a letter or a digit in it.
func words(sentence string) int {
	n := 0
	for _, field := range strings.Fields(sentence) {
		if strings.ContainsFunc(field, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
			n++
		}
	}
	return n
}

// check returns a line for each fault of the Markdown files of fsys.
func check(fsys fs.FS) ([]string, error) {
	documents := map[string]document{}
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && skipped(entry.Name()):
			return fs.SkipDir
		case entry.IsDir() || path.Ext(name) != ".md":
			return nil
		}
		text, err := fs.ReadFile(fsys, name)
		documents[name] = parse(string(text))
		return err
	})
	if err != nil {
		return nil, err
	}
	var found []string
	for name, d := range documents {
		found = append(found, d.faults(name)...)
		for _, l := range d.links {
			if why := follow(fsys, documents, name, l.target); why != "" {
				found = append(found, fmt.Sprintf("%s:%d: %s: %s", name, l.line, l.target, why))
			}
		}
	}
	return found, nil
}

// skipped says which folders hold products of running.
func skipped(name string) bool {
	return strings.HasPrefix(name, ".") || name == "bin" || name == "runs" || name == "demo"
}

// faults are those of lines and sentences.
func (d document) faults(name string) []string {
	var found []string
	for n, line := range d.lines {
		if width := utf8.RuneCountInString(line); width > maxColumns {
			found = append(found, fmt.Sprintf("%s:%d: %d columns, %d are allowed", name, n, width, maxColumns))
		}
	}
	for _, p := range d.paragraphs {
		for _, s := range sentences(p.text) {
			if n := words(s); n > maxWords {
				found = append(found, fmt.Sprintf("%s:%d: a sentence of %d words, %d are allowed: %s", name, p.line, n, maxWords, s))
			}
		}
	}
	return found
}

// follow says why a link in the file name leads nowhere, "" if it does not. Addresses of the web are not looked at.
func follow(fsys fs.FS, documents map[string]document, name, target string) string {
	if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
		return ""
	}
	file, anchor, _ := strings.Cut(target, "#")
	to := name
	if file != "" {
		to = path.Join(path.Dir(name), file)
		if _, err := fs.Stat(fsys, to); err != nil {
			return "no such file"
		}
	}
	if d, ok := documents[to]; ok && anchor != "" && !d.anchors[anchor] {
		return "no such heading"
	}
	return ""
}
