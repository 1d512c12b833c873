package report

import (
	"math"
	"strings"
	"unicode/utf8"

	stdfont "golang.org/x/image/font"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
)

// mathText sets what stands between dollar signs as mathematics: in italics with serifs. The rest is as plain text.
type mathText struct{ text.Plain }

func newMathText() mathText { return mathText{text.Plain{Fonts: font.DefaultCache}} }

var _ text.Handler = mathText{}

// pieces splits a line at its dollar signs.
func (m mathText) pieces(line string, base font.Font) (texts []string, faces []font.Face) {
	for i, piece := range strings.Split(line, "$") {
		f := base
		if i%2 == 1 {
			f.Variant, f.Style = "Serif", stdfont.StyleItalic
		}
		if piece != "" {
			texts, faces = append(texts, piece), append(faces, m.Fonts.Lookup(f, f.Size))
		}
	}
	return texts, faces
}

func (m mathText) width(line string, base font.Font) (w vg.Length) {
	texts, faces := m.pieces(line, base)
	for i := range texts {
		w += faces[i].Width(texts[i])
	}
	return w
}

// Box implements [text.Handler].
func (m mathText) Box(line string, f font.Font) (width, height, depth vg.Length) {
	_, height, depth = m.Plain.Box(line, f)
	return m.width(line, f), height, depth
}

// Draw implements [text.Handler] as text.Plain does, piece by piece.
func (m mathText) Draw(c vg.Canvas, line string, sty text.Style, at vg.Point) {
	if line == "" {
		return
	}
	c.SetColor(sty.Color)
	if sty.Rotation != 0 {
		c.Push()
		defer c.Pop()
		c.Rotate(sty.Rotation)
	}
	sin, cos := math.Sincos(sty.Rotation)
	at.X, at.Y = at.Y*vg.Length(sin)+at.X*vg.Length(cos), at.Y*vg.Length(cos)-at.X*vg.Length(sin)
	at.Y += sty.Height(line)*vg.Length(sty.YAlign) - m.Extents(sty.Font).Ascent + sty.Font.Size
	at.X += vg.Length(sty.XAlign) * m.width(line, sty.Font)
	texts, faces := m.pieces(line, sty.Font)
	for i, piece := range texts {
		word := strings.TrimLeft(piece, " ") // browsers drop spaces in front
		c.FillString(faces[i], at.Add(vg.Point{X: faces[i].Width(piece[:len(piece)-len(word)])}), strings.TrimRight(word, " "))
		at.X += faces[i].Width(piece)
	}
}

// outlined is a canvas that draws letters outside ASCII, and italics, as shapes. The PDF backend knows fonts by one byte a
// letter, which has no room for δ, and does not find its italics again.
type outlined struct{ vg.CanvasSizer }

// FillString implements [vg.Canvas].
func (o outlined) FillString(f font.Face, at vg.Point, s string) {
	for s != "" {
		n := strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
		switch {
		case f.Font.Style == stdfont.StyleItalic:
			n = 0
		case n < 0:
			n = len(s)
		}
		if n > 0 {
			o.CanvasSizer.FillString(f, at, s[:n])
			at.X += f.Width(s[:n])
			s = s[n:]
			continue
		}
		r, size := utf8.DecodeRuneInString(s)
		if p := outline(f, at, r); len(p) > 0 {
			o.Fill(p)
		}
		at.X += f.Width(s[:size])
		s = s[size:]
	}
}

// outline is the shape of a letter whose baseline begins at a point; none where the font lacks the letter.
func outline(f font.Face, at vg.Point, r rune) vg.Path {
	var buf sfnt.Buffer
	i, err := f.Face.GlyphIndex(&buf, r)
	if err != nil || i == 0 {
		return nil
	}
	const scale = 64 // points an em are whole numbers of 26.6 bits: larger ones keep more of the shape
	segments, err := f.Face.LoadGlyph(&buf, i, fixed.I(scale), nil)
	if err != nil {
		return nil
	}
	unit := f.Font.Size / (scale * 64)
	point := func(p fixed.Point26_6) vg.Point {
		return vg.Point{X: at.X + vg.Length(p.X)*unit, Y: at.Y - vg.Length(p.Y)*unit}
	}
	var p vg.Path
	for _, s := range segments {
		switch s.Op {
		case sfnt.SegmentOpMoveTo:
			if len(p) > 0 {
				p.Close()
			}
			p.Move(point(s.Args[0]))
		case sfnt.SegmentOpLineTo:
			p.Line(point(s.Args[0]))
		case sfnt.SegmentOpQuadTo:
			p.QuadTo(point(s.Args[0]), point(s.Args[1]))
		case sfnt.SegmentOpCubeTo:
			p.CubeTo(point(s.Args[0]), point(s.Args[1]), point(s.Args[2]))
		}
	}
	p.Close()
	return p
}

// sans is our font for pictures at a size in points.
func sans(size float64) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: vg.Points(size)}
}
