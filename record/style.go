package record

import (
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg/draw"
)

// LineStyle is the style of the i-th of several equal lines, in all our pictures: colours that people with any kind of
// colour vision can tell apart, then dashes.
func LineStyle(i int) draw.LineStyle { return distinct(i) }

// Ticks labels four to eight round numbers between two.
func Ticks(low, high float64) []plot.Tick { return roundTicks(low, high) }

// CountTicks are ticks for steps and epochs: whole and short.
func CountTicks(low, high float64) []plot.Tick { return countTicks(low, high) }
