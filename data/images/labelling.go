package images

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
)

// The first line of a table says how the others tell the classes of an image.
const (
	pathColumn   = "path"
	labelColumn  = "label"  // names the one class of an image
	labelsColumn = "labels" // names any number of classes
	tableHeads   = "the line path,label for one class an image, path,labels for several, or path and a column of 0 and 1 for each class"
)

// separators stand between the names of classes in a cell. A table has one of them.
const separators = ";|,"

// labelling reads the classes of images from the rows of a table.
type labelling struct {
	columns []string // the classes, where each has a column
	several bool     // the second column names any number of classes

	separator byte   // the one that was met; 0 for none
	spaced    string // the first cell of several words, and its line
	spacedAt  int
	joined    int    // cells of one class that look as if they named several
	first     string // of them
}

// newLabelling reads the first line of a table.
func newLabelling(head []string) (*labelling, error) {
	text := show.Clip(strings.Join(head, ","), 60)
	if head[0] != pathColumn || len(head) < 2 {
		return nil, fault.New("begins with %q: must begin with %s", text, tableHeads)
	}
	if len(head) == 2 && (head[1] == labelColumn || head[1] == labelsColumn) {
		return &labelling{several: head[1] == labelsColumn}, nil
	}
	l := &labelling{}
	seen := map[string]bool{}
	for _, class := range head[1:] {
		class = strings.TrimSpace(class)
		if class == "" || !utf8.ValidString(class) || seen[class] {
			return nil, fault.New("begins with %q, where a column is %q: must name each class once", text, class)
		}
		seen[class] = true
		l.columns = append(l.columns, strings.Clone(class))
	}
	return l, nil
}

// many reports whether images may have any number of classes.
func (l *labelling) many() bool { return l.several || l.columns != nil }

// of returns the class of a row, or all its classes. Faults go on after the number of the line.
func (l *labelling) of(row []string, line int) (class string, all []string, err error) {
	if l.columns != nil {
		all, err = l.marked(row)
		return "", all, err
	}
	second := labelColumn
	if l.several {
		second = labelsColumn
	}
	if len(row) != 2 {
		return "", nil, fault.New("has %d values: must have 2, %s and %s", len(row), pathColumn, second)
	}
	if !utf8.ValidString(row[1]) || !l.several && strings.TrimSpace(row[1]) == "" {
		return "", nil, fault.New("has the label %q: must name a class", row[1])
	}
	if !l.several {
		if strings.ContainsAny(row[1], ";|") {
			if l.joined++; l.joined == 1 {
				l.first = strings.Clone(row[1])
			}
		}
		return strings.Clone(strings.TrimSpace(row[1])), nil, nil
	}
	all, err = l.named(strings.Clone(row[1]), line)
	return "", all, err
}

// marked returns the classes whose columns have a one.
func (l *labelling) marked(row []string) (all []string, err error) {
	if len(row) != 1+len(l.columns) {
		return nil, fault.New("has %d values: must have %d, as the first line", len(row), 1+len(l.columns))
	}
	for i, class := range l.columns {
		switch strings.TrimSpace(row[1+i]) {
		case "1", "1.0", "True", "true":
			all = append(all, class)
		case "0", "0.0", "False", "false":
		default:
			return nil, fault.New("has %q for %s: must be 0 or 1; a table that names classes begins with path,label or path,labels",
				show.Clip(row[1+i], 30), show.Name(class))
		}
	}
	return all, nil
}

// named returns the classes that a cell names.
func (l *labelling) named(cell string, line int) (all []string, err error) {
	for i := range len(cell) {
		switch c := cell[i]; {
		case strings.IndexByte(separators, c) < 0 || c == l.separator:
		case l.separator != 0:
			return nil, fault.New("has %q between labels in %q, and lines before it %q: must have one of %s in the whole table",
				c, show.Clip(cell, 60), l.separator, separators)
		default:
			l.separator = c
		}
	}
	parts := []string{cell}
	if l.separator != 0 {
		parts = strings.Split(cell, string(l.separator))
	}
	for _, class := range parts {
		if class = strings.TrimSpace(class); class != "" && !slices.Contains(all, class) {
			all = append(all, class)
		}
	}
	if l.spacedAt == 0 && strings.Contains(strings.TrimSpace(cell), " ") {
		l.spaced, l.spacedAt = cell, line
	}
	return all, nil
}

// end returns a fault if what was read cannot be meant: labels with spaces between them would each be one class of that name.
func (l *labelling) end() error {
	if l.several && l.separator == 0 && l.spacedAt > 0 {
		return fault.New("line %d has the labels %q, and no line has one of %s: must have it between labels, where spaces are part of a name; "+
			"a table of one class an image begins with path,label", l.spacedAt, show.Clip(l.spaced, 60), separators)
	}
	return nil
}

// note is a line for the user about labels that may mean something else, "" for none.
func (l *labelling) note() string {
	if l.joined == 0 {
		return ""
	}
	return fmt.Sprintf("%d labels have ; or | in them, such as %q, and count as the name of one class each: a table that begins with path,labels has several classes an image",
		l.joined, show.Clip(l.first, 60))
}
