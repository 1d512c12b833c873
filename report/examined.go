package report

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"image"
	"image/color"
	imagepng "image/png"
	"strconv"
)

// Write puts the report into a folder: heads.csv, classes.csv, confusion.csv, calibration.csv, exits.csv and mistakes.csv,
// each picture as SVG, PDF and PNG, the mistakes as PNG, and index.html with all of it. Files of others are treated as by
// [Grouping.Write].
func (e Examination) Write(dir string, width Width) error {
	files, err := e.tables()
	if err != nil {
		return err
	}
	for _, d := range e.drawings() {
		drawn, err := pictures(d, width)
		if err != nil {
			return err
		}
		files = append(files, drawn...)
	}
	shown, err := e.thumbnails()
	if err != nil {
		return err
	}
	for i, content := range shown {
		if content != nil {
			files = append(files, file{mistakeFile(i), content})
		}
	}
	html, err := e.html(shown)
	if err != nil {
		return err
	}
	return put(dir, append(files, file{PageFile, html}))
}

func mistakeFile(i int) string { return fmt.Sprintf("mistake-%02d.png", i+1) }

// drawings are the pictures that have something to show.
func (e Examination) drawings() (all []drawing) {
	var alone, depth []point
	var reliable, sure []line
	for _, i := range e.answering() {
		h := e.Heads[i]
		alone = append(alone, at(float64(e.alone(i)), h.Top1))
		depth = append(depth, value(float64(h.Module), h.Top1))
		var accuracy, share []point
		bins, _ := e.calibration(h)
		for b, in := range bins {
			share = append(share, value(100*(float64(b)+0.5)/float64(len(bins)), 100*float64(in.n)/float64(len(h.Said))))
			if in.n > 0 {
				accuracy = append(accuracy, value(100*in.sure/float64(in.n), 100*float64(in.right)/float64(in.n)))
			}
		}
		name := fmt.Sprintf("module %d", h.Module)
		reliable = append(reliable, line{name: name, style: i, points: accuracy})
		sure = append(sure, line{name: name, style: i, points: share})
	}
	perfect := line{name: "as sure as right", style: 13, points: []point{value(0, 0), value(100, 100)}, bare: true}
	for _, f := range []figure{
		{name: "exits", x: "multiply-adds a sample (millions)", y: "accuracy (%)", percent: true, zero: true,
			about: "Accuracy against computation: up and left is better.", lines: []line{
				{name: "each leaves at the first head that is sure enough", style: 0, points: points(e.exits()), bare: true},
				{name: "all leave at one head", style: 1, points: alone, dots: true}}},
		{name: "depth", x: "module $k$", y: "accuracy (%)", counts: true, percent: true,
			about: "Accuracy of the head behind each module, from the input on.", lines: []line{{name: "head", points: depth}}},
		{name: "calibration", x: "confidence (%)", y: "accuracy (%)", percent: true, zero: true,
			about: "Accuracy of the answers that are about so sure: on the dashed line, a head is right as often as it is sure.",
			lines: append(reliable, perfect)},
		{name: "confidence", x: "confidence (%)", y: "samples (%)", percent: true, zero: true,
			about: "How sure the answers are.", lines: sure},
	} {
		if f.name == "exits" && len(alone) < 2 || !f.worth() {
			continue
		}
		all = append(all, f)
	}
	if m := e.matrix(); m != nil {
		all = append(all, m)
	}
	return all
}

// thumbnails renders the mistakes as PNG files; nil for one without a picture.
func (e Examination) thumbnails() (all [][]byte, err error) {
	for _, m := range e.Mistakes {
		if len(m.Pixels) == 0 || m.C != 1 && m.C != 3 {
			all = append(all, nil)
			continue
		}
		img := image.NewRGBA(image.Rect(0, 0, m.W, m.H))
		for i := range m.W * m.H {
			at := m.Pixels[i*m.C : (i+1)*m.C]
			img.SetRGBA(i%m.W, i/m.W, color.RGBA{at[0], at[m.C/2], at[m.C-1], 0xff})
		}
		var b bytes.Buffer
		if err := imagepng.Encode(&b, img); err != nil {
			return nil, err
		}
		all = append(all, b.Bytes())
	}
	return all, nil
}

// tables are all numbers, for other programs.
func (e Examination) tables() (files []file, err error) {
	whole := func(n int) string { return strconv.Itoa(n) }
	macs := func(n int64) string { return strconv.FormatInt(n, 10) }
	heads := [][]string{{"module", "blocks", "top1", "top5", "loss", "ece", "body_macs", "head_macs", "macs"}}
	calibration := [][]string{{"module", "low", "high", "n", "confidence", "accuracy"}}
	classes := [][]string{{"class", "n"}}
	exits := [][]string{{"confidence", "accuracy", "macs"}}
	var rights [][]int
	var n []int
	for _, i := range e.answering() {
		h := e.Heads[i]
		all, ece := e.calibration(h)
		heads = append(heads, []string{whole(h.Module), h.Blocks, digits(h.Top1), digits(h.Top5), digits(h.Loss), digits(ece), macs(h.Body), macs(h.Asked), macs(e.alone(i))})
		for b, in := range all {
			calibration = append(calibration, []string{whole(h.Module), digits(float64(b) / bins), digits(float64(b+1) / bins), whole(in.n),
				digits(in.sure / float64(in.n)), digits(float64(in.right) / float64(in.n))})
		}
		classes[0] = append(classes[0], fmt.Sprintf("accuracy_%d", h.Module))
		exits[0] = append(exits[0], fmt.Sprintf("share_%d", h.Module))
		var right []int
		n, right = e.perClass(h)
		rights = append(rights, right)
	}
	for c, class := range e.Classes {
		row := []string{class, whole(n[c])}
		for _, right := range rights {
			row = append(row, digits(100*float64(right[c])/float64(n[c])))
		}
		classes = append(classes, row)
	}
	for _, x := range e.exits() {
		row := []string{digits(x.threshold), digits(x.accuracy), digits(x.macs)}
		for _, share := range x.shares {
			row = append(row, digits(share))
		}
		exits = append(exits, row)
	}
	confusion := [][]string{{"class", "answer", "n"}}
	for _, c := range e.confusion() {
		confusion = append(confusion, []string{e.Classes[c.label], e.Classes[c.said], whole(c.n)})
	}
	mistakes := [][]string{{"sample", "path", "class", "answer", "confidence", "class_probability"}}
	for _, m := range e.Mistakes {
		s := e.last().Said[m.Sample]
		mistakes = append(mistakes, []string{whole(m.Sample), m.Title, e.Classes[e.Labels[m.Sample]], e.Classes[s.Class], digits(s.Sure), digits(s.Right)})
	}
	for _, t := range []struct {
		name string
		rows [][]string
	}{{"heads", heads}, {"classes", classes}, {"confusion", confusion}, {"calibration", calibration}, {"exits", exits}, {"mistakes", mistakes}} {
		if len(t.rows) == 1 {
			continue
		}
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		if err := w.WriteAll(t.rows); err != nil {
			return nil, err
		}
		files = append(files, file{t.name + ".csv", b.Bytes()})
	}
	return files, nil
}
