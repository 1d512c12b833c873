package images

import (
	"encoding/csv"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
)

// tableSuffix is what the name of a part's table ends in.
const tableSuffix = ".csv"

func holdsTable(dir, part string) bool {
	info, err := os.Stat(filepath.Join(dir, part+tableSuffix))
	return err == nil && info.Mode().IsRegular()
}

// holdsTables reports whether dir has a table for each part.
func holdsTables(dir string) bool { return holdsTable(dir, trainPart) && holdsTable(dir, valPart) }

// scanTable lists the images that a part's table names, by their paths within dir.
func scanTable(dir, part string) (p *photos, perClass map[string]int, err error) {
	path := filepath.Join(dir, part+tableSuffix)
	r, err := disk.Open(path)
	if err != nil {
		return nil, nil, fault.New("%s cannot be opened: %w", show.Name(path), cause(err))
	}
	defer r.Close()
	p = &photos{dir: dir}
	if err := p.readTable(r); err != nil {
		return nil, nil, fault.New("%s: %w", show.Name(path), err)
	}
	perClass = map[string]int{}
	for _, class := range p.columns {
		perClass[class] = 0
	}
	for _, f := range p.files {
		for _, class := range f.all {
			perClass[class]++
		}
		if !p.many {
			perClass[f.classOf()]++
		}
	}
	return p, perClass, nil
}

// readTable adds what a table names. Faults name the line, and go on after the table's path.
func (p *photos) readTable(from io.Reader) error {
	r := csv.NewReader(from)
	r.FieldsPerRecord, r.ReuseRecord = -1, true
	seen := map[string]int{}
	var labels *labelling
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) && labels != nil {
			p.many, p.columns, p.note = labels.many(), labels.columns, labels.note()
			return labels.end()
		}
		if errors.Is(err, io.EOF) {
			return fault.New("is empty: must begin with %s", tableHeads)
		}
		if wrong, ok := errors.AsType[*csv.ParseError](err); ok {
			return fault.New("line %d cannot be read: %w", wrong.Line, wrong.Err)
		}
		if err != nil {
			return fault.New("cannot be read: %w", cause(err))
		}
		line, _ := r.FieldPos(0)
		row[0] = strings.TrimPrefix(row[0], "\ufeff") // as spreadsheets write it
		if labels == nil {
			if labels, err = newLabelling(row); err != nil {
				return err
			}
			continue
		}
		f, err := p.tableFile(row, line, labels)
		if err != nil {
			return fault.New("line %d %w", line, err)
		}
		if before, twice := seen[f.name]; twice {
			return fault.New("line %d names %s, as line %d does: must name each image once", line, show.Name(f.name), before)
		}
		seen[f.name] = line
		p.files = append(p.files, f)
	}
}

// tableFile is the image of a row.
func (p *photos) tableFile(row []string, line int, labels *labelling) (f file, err error) {
	path := strings.Clone(row[0])
	f = file{name: path, shard: standalone}
	if f.class, f.all, err = labels.of(row, line); err != nil {
		return f, err
	}
	switch {
	case !filepath.IsLocal(filepath.FromSlash(path)) || !utf8.ValidString(path) || strings.ContainsRune(path, 0):
		return f, fault.New("names %s: must be a path within the folder of the table", show.Name(path))
	case !isImage(path):
		return f, fault.New("names %s: must end in one of %s", show.Name(path), strings.Join(imageSuffixes, ", "))
	}
	if info, err := os.Stat(filepath.Join(p.dir, filepath.FromSlash(path))); err == nil { // what is missing is told when it is read
		f.size = info.Size()
	}
	return f, nil
}

// hintTables says what is missing in a folder with one of the tables; "" if nothing is known.
func hintTables(dir string) string {
	switch {
	case holdsTable(dir, trainPart):
		return "it has train.csv but no val.csv: move some lines into one, or split a tenth off with data.test=0.1"
	case holdsTable(dir, valPart):
		return "it has val.csv but no train.csv"
	}
	return ""
}
