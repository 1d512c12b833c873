package record

import (
	"fmt"
	"math"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// quantity is one of a diagnosis.
type quantity struct {
	key   string // in TensorBoard
	title string // of its picture; "" for none
	axis  string
	of    func(Diagnosis) []float64
}

var quantities = []quantity{
	{"loss", "Loss of each module", "L_k", func(d Diagnosis) []float64 { return d.Loss }},
	{"sgr_loss", "SGR loss, with the module before", "S(δ, r)", func(d Diagnosis) []float64 { return d.SGRLoss }},
	{"sgr_cos", "Cosine of δ and r, with the module before", "mean cosine", func(d Diagnosis) []float64 { return d.SGRCos }},
	{"shift_train", "ΔL by the modules before, training batch", "ΔL_k", func(d Diagnosis) []float64 { return d.ShiftTrain }},
	{"shift", "ΔL by the modules before, held-out batch", "ΔL_k", func(d Diagnosis) []float64 { return d.Shift }},
	{"epsilon", "Local minus global gradient (Theorem 3.3)", "‖ε‖", func(d Diagnosis) []float64 { return d.Epsilon }},
	{"global_norm", "", "", func(d Diagnosis) []float64 { return d.GlobalNorm }},
	{"global_cos", "Cosine of local and global gradient", "cosine", func(d Diagnosis) []float64 { return d.GlobalCos }},
	{"gap", "", "", func(d Diagnosis) []float64 { return d.Gap }},
	{"bound", "", "", func(d Diagnosis) []float64 { return d.Bound }},
	{"tightness", "Sec. 3.2: left over right side (at most 1)", "left / right", Diagnosis.tightness},
	{"within_between", "Separability of pooled features", "within / between", func(d Diagnosis) []float64 { return d.Within }},
}

// tightness is Gap over Bound.
func (d Diagnosis) tightness() []float64 { return ratios(d.Gap, d.Bound) }

func ratios(a, b []float64) []float64 {
	out := make([]float64, min(len(a), len(b)))
	for i := range out {
		out[i] = a[i] / b[i]
	}
	return out
}

// DiagnosisTable renders a run's diagnoses in Markdown, a row a module, without a final newline: the last diagnosis, and of
// ΔL the mean over all of them and how often it was below zero. There must be one.
func DiagnosisTable(diagnoses []Diagnosis) string {
	last := diagnoses[len(diagnoses)-1]
	w := table.NewWriter()
	w.SetTitle(fmt.Sprintf("Step %d, held-out batch; ΔL over %d diagnoses", last.Step, len(diagnoses)))
	w.AppendHeader(table.Row{"module", "L", "S", "cos(δ, r)", "ΔL, training", "below 0, %", "ΔL, held out", "below 0, %",
		"‖ε‖", "‖ε‖/‖∇L_K‖", "cos(local, global)", "gap", "bound", "within/between"})
	var right []table.ColumnConfig
	for i := 1; i <= 14; i++ {
		right = append(right, table.ColumnConfig{Number: i, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	w.SetColumnConfigs(right)
	share := ratios(last.Epsilon, last.GlobalNorm)
	for k := range last.Loss {
		train, trainBelow := shifts(diagnoses, k, func(d Diagnosis) []float64 { return d.ShiftTrain })
		held, heldBelow := shifts(diagnoses, k, func(d Diagnosis) []float64 { return d.Shift })
		row := table.Row{k + 1}
		for _, v := range []float64{last.Loss[k], last.SGRLoss[k], last.SGRCos[k], train, trainBelow, held, heldBelow,
			last.Epsilon[k], share[k], last.GlobalCos[k], last.Gap[k], last.Bound[k], last.Within[k]} {
			row = append(row, digits(v))
		}
		w.AppendRow(row)
	}
	return w.RenderMarkdown()
}

// shifts returns the mean of module k's ΔL and the percentage of those below zero.
func shifts(diagnoses []Diagnosis, k int, of func(Diagnosis) []float64) (mean, below float64) {
	var n float64
	for _, d := range diagnoses {
		if v := of(d)[k]; !math.IsNaN(v) {
			n++
			mean += v
			if v < 0 {
				below += 100
			}
		}
	}
	return mean / n, below / n // 0/0 is NaN
}

func digits(v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	return fmt.Sprintf("%.3g", v)
}
