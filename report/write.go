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
	var names []string
	for _, f := range files {
		names = append(names, f.name)
	}
	folder, err := runfolder.Open(dir, nil)
	if err != nil {
		return err
	}
	defer folder.Close()
	if folder.Start() != nil || folder.Owns(recipeFile) {
		return fault.New("%s holds a run: give another --out for the report", dir)
	}
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
	var failed error
	add := func(name string, content []byte, err error) {
		all, failed = append(all, file{name, content}), errors.Join(failed, err)
	}
	for _, f := range figures {
		svg, err := f.svg(width, true)
		add(f.name+".svg", svg, err)
		pdf, err := f.pdf(width)
		add(f.name+".pdf", pdf, err)
		png, err := f.png(width)
		add(f.name+".png", png, err)
	}
	html, err := g.html(figures)
	add(PageFile, html, err)
	return all, failed
}
