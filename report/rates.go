package report

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math"
)

// Rates is losses over learning rates, as a range test has found them.
type Rates struct {
	LR         []float64   // rising
	Loss       []float64   // of each rate
	Smooth     []float64   // their moving average
	Modules    [][]float64 // losses of the modules at each rate
	Suggestion float64     // 0 for none
}

// Write puts lr-find.csv and the picture lr-find as SVG, PDF and PNG into a folder, as [Grouping.Write] does.
func (r Rates) Write(dir string, width Width) error {
	rows := [][]string{{"lr", "loss", "smooth"}}
	for k := range r.Modules[0] {
		rows[0] = append(rows[0], fmt.Sprintf("module_%d", k+1))
	}
	for i := range r.LR {
		row := []string{digits(r.LR[i]), digits(r.Loss[i]), digits(r.Smooth[i])}
		for _, loss := range r.Modules[i] {
			row = append(row, digits(loss))
		}
		rows = append(rows, row)
	}
	var b bytes.Buffer
	if err := csv.NewWriter(&b).WriteAll(rows); err != nil {
		return err
	}
	drawn, err := pictures(r.figure(), width)
	if err != nil {
		return err
	}
	return put(dir, append(drawn, file{"lr-find.csv", b.Bytes()}))
}

// figure draws what lies below twice the first loss: what is above says that a rate is too high, and no more.
func (r Rates) figure() figure {
	most := math.Inf(1)
	if first := r.Smooth[0]; first > 0 {
		most = 2 * first
	}
	draw := func(values []float64) (points []point) {
		for i, v := range values {
			if v <= most {
				points = append(points, value(r.LR[i], v))
			}
		}
		return points
	}
	f := figure{name: "lr-find", x: "learning rate", y: "mean loss of the modules", logarithmic: true}
	for _, l := range []line{{name: "loss", style: 5, points: draw(r.Loss), bare: true}, {name: "moving average", points: draw(r.Smooth), bare: true}} {
		if len(l.points) > 0 {
			f.lines = append(f.lines, l)
		}
	}
	for i, lr := range r.LR {
		if lr == r.Suggestion {
			f.lines = append(f.lines, line{name: fmt.Sprintf("suggestion %.2g", lr), style: 1, points: []point{value(lr, r.Smooth[i])}, dots: true})
		}
	}
	return f
}
