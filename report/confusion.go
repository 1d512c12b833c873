package report

import (
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/locus-learn/locus/internal/show"
)

// Classes that a picture of the confusion has room for, and up to how many it has numbers.
const (
	mostCells   = 40
	mostNumbers = 20
)

// matrix is a picture of what the last head takes each class for.
type matrix struct {
	classes []string
	shares  [][]float64 // of the samples of a class, by what they were taken for; 0 to 1
}

// matrix returns nil where there are too many classes to see anything.
func (e Examination) matrix() *matrix {
	if len(e.Classes) > mostCells {
		return nil
	}
	m := &matrix{}
	n, _ := e.perClass(e.last())
	for _, class := range e.Classes {
		m.classes = append(m.classes, show.Clip(show.Line(class), 14))
		m.shares = append(m.shares, make([]float64, len(e.Classes)))
	}
	for _, c := range e.confusion() {
		m.shares[c.label][c.said] = float64(c.n) / float64(n[c.label])
	}
	return m
}

func (m *matrix) title() (name, about string) {
	return "confusion", "What the last head takes each class for, in per cent of the class's samples: a row is a class, a column an answer."
}

// banded implements drawing.
func (m *matrix) banded() bool { return false }

// size is a square that is as wide as other pictures.
func (m *matrix) size(w Width) (width, height vg.Length) {
	width, _ = w.size()
	return width, width
}

func (m *matrix) paint(c draw.Canvas) error {
	n := vg.Length(len(m.classes))
	sty := text.Style{Color: color.Black, Font: sans(tickSize), Handler: newMathText()}
	var margin vg.Length
	for _, class := range m.classes {
		margin = max(margin, sty.Width(class))
	}
	pitch := (c.Max.X - c.Min.X - margin - 16) / n
	sty.Font.Size = min(sty.Font.Size, pitch)
	left, top := c.Max.X-4-n*pitch, c.Max.Y-4
	bottom := top - n*pitch
	numbers := sty
	numbers.Font.Size = min(vg.Points(tickSize), 0.45*pitch)
	numbers.XAlign, numbers.YAlign = draw.XCenter, draw.YCenter
	for row, shares := range m.shares {
		y := top - vg.Length(row+1)*pitch
		for column, share := range shares {
			m.cell(c, vg.Point{X: left + vg.Length(column)*pitch, Y: y}, pitch, share, numbers)
		}
		name := sty
		name.XAlign, name.YAlign = draw.XRight, draw.YCenter
		c.FillText(name, vg.Point{X: left - 3, Y: y + pitch/2}, m.classes[row])
		name.Rotation = math.Pi / 2
		c.FillText(name, vg.Point{X: left + (vg.Length(row)+0.5)*pitch, Y: bottom - 3}, m.classes[row])
	}
	c.SetColor(color.Gray{0x99})
	c.SetLineWidth(0.5)
	var frame vg.Path
	frame.Move(vg.Point{X: left, Y: bottom})
	frame.Line(vg.Point{X: left + n*pitch, Y: bottom})
	frame.Line(vg.Point{X: left + n*pitch, Y: top})
	frame.Line(vg.Point{X: left, Y: top})
	frame.Close()
	c.Stroke(frame)
	return nil
}

// cell draws one share at its lower left corner, darker for more.
func (m *matrix) cell(c draw.Canvas, at vg.Point, side vg.Length, share float64, sty text.Style) {
	shade := func(full float64) uint8 { return uint8(255 + share*(full-255) + 0.5) }
	c.SetColor(color.RGBA{shade(0x00), shade(0x72), shade(0xb2), 0xff})
	c.Fill(vg.Rectangle{Min: at, Max: vg.Point{X: at.X + side, Y: at.Y + side}}.Path())
	if len(m.classes) > mostNumbers || share == 0 {
		return
	}
	if share > 0.5 {
		sty.Color = color.White
	}
	number := strconv.FormatFloat(100*share, 'f', 0, 64)
	if share < 0.0095 {
		number = "<1"
	}
	c.FillText(sty, vg.Point{X: at.X + side/2, Y: at.Y + side/2}, number)
}
