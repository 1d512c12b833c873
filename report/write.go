package report

import (
	"errors"
	"slices"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/runfolder"
)

// PageFile is the page that has all of a report.
const PageFile = "index.html"

// Write puts the report into a folder: table.md, table.csv and table.tex, each picture as SVG, PDF and PNG with its fonts,
// and index.html. A file that is there and was not written by a report is a fault, and then nothing is written. Files of an
// earlier report that this one does not have are removed.
func (g Grouping) Write(dir string, width Width) error {
	files, err := g.files(width)
	if err != nil {
		return err
	}
	return put(dir, files)
}

// put writes the files of a report into a folder that holds no run.
func put(dir string, files []file) error {
	var names []string
	for _, f := range files {
		names = append(names, f.name)
	}
	folder, err := open(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := folder.Make(); err != nil {
		return err
	}
	old := folder.Files("*")
	if err := folder.Claim(names...); err != nil {
		return err
	}
	for _, f := range files {
		if err := disk.WriteFile(folder.Path(f.name), f.content); err != nil {
			return folder.Failed(f.name, err)
		}
	}
	return folder.Remove(slices.DeleteFunc(old, func(name string) bool { return slices.Contains(names, name) })...)
}

// open takes a folder that a report may be written into.
func open(dir string) (*runfolder.Folder, error) {
	folder, err := runfolder.Open(dir, nil, nil)
	if err != nil {
		return nil, err
	}
	if folder.Start() != nil || folder.Owns(recipeFile) {
		folder.Close()
		return nil, fault.New("%s holds a run: give another folder for the report", dir)
	}
	return folder, nil
}

// Writable makes a folder for a report, or returns the fault that writing one would end with: for those who have long
// work before them.
func Writable(dir string) error {
	folder, err := open(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Make()
}

type file struct {
	name    string
	content []byte
}

func (g Grouping) files(width Width) ([]file, error) {
	lines, err := g.CSV()
	if err != nil {
		return nil, err
	}
	all := []file{{"table.md", []byte(g.Markdown() + "\n")}, {"table.csv", lines}, {"table.tex", []byte(g.TeX())}}
	figures := g.figures()
	for _, f := range figures {
		drawn, err := pictures(f, width)
		if err != nil {
			return nil, err
		}
		all = append(all, drawn...)
	}
	html, err := g.html(figures)
	return append(all, file{PageFile, html}), err
}

// pictures renders a drawing in all formats.
func pictures(d drawing, width Width) ([]file, error) {
	name, _ := d.title()
	one, errOne := drawSVG(d, width, true)
	two, errTwo := drawPDF(d, width)
	three, errThree := drawPNG(d, width)
	return []file{{name + ".svg", one}, {name + ".pdf", two}, {name + ".png", three}}, errors.Join(errOne, errTwo, errThree)
}
