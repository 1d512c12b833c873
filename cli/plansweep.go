package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/plan"
	"github.com/locus-learn/locus/record"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/train"
)

// swept are plans of one network for several methods and numbers of modules.
type swept struct {
	Model     string          `json:"model"`
	Image     int             `json:"image"`
	Batch     int             `json:"batch"`
	Precision string          `json:"precision"`
	BP        plan.Prediction `json:"bp"`
	Rows      []sweptRow      `json:"rows"` // by method, then by modules
}

type sweptRow struct {
	Method  string          `json:"method"`
	Head    string          `json:"head"`
	Modules int             `json:"modules"`
	Plan    plan.Prediction `json:"plan"`
	Saving  float64         `json:"saving"` // of activations, 1 − plan/bp
	Total   float64         `json:"saving_total"`
	Time    float64         `json:"time"` // of a step, plan/bp
}

// sweep plans each number of modules under each method. Pieces of a method are measured once. Interrupted, it returns the rows
// that are done, too.
func (f *planFlags) sweep(cmd *cobra.Command) (plans, error) {
	var configs []train.Config
	for _, method := range slices.Compact(f.methods) {
		c, err := f.config(method, 1)
		if err != nil {
			return nil, err
		}
		if _, auto := c.Method.Auto(); !auto && len(c.Method.Cuts) > 0 {
			return nil, fault.New("method.cuts is %s: must be auto or auto:time where --modules has several numbers or --method several names",
				strings.Join(c.Method.Cuts, ","))
		}
		configs = append(configs, c)
	}
	if f.budget > 0 {
		return nil, fault.New("--budget is %s: must go with one --method, and with one number of --modules or none", f.budget.String())
	}
	defer torch.Pin()()
	var planners []*plan.Planner
	defer func() {
		for _, p := range planners {
			p.Free()
		}
	}()
	for _, c := range configs { // so that a mistake does not wait for the measuring of other methods
		spec := specOf(c, c.Model.Image, c.Model.Classes)
		o, done := measuring(cmd, plan.For(spec, c.Data.Batch))
		defer done()
		p, err := plan.New(spec, o)
		if err != nil {
			return nil, err
		}
		planners = append(planners, p)
		if _, err := f.modules.upTo(p.Blocks()); err != nil {
			return nil, err
		}
	}
	first := configs[0]
	r := &swept{Model: first.Model.Name, Image: first.Model.Image, Batch: first.Data.Batch, Precision: first.Precision}
	for i, p := range planners {
		err := r.add(configs[i], p, &f.modules)
		if errors.Is(err, context.Canceled) && len(r.Rows) > 0 {
			return r, err
		}
		if err != nil {
			return nil, err
		}
	}
	if f.plot == "" {
		return r, nil
	}
	return r, r.draw(f.plot)
}

// add plans a method, and bp with it where that is the first.
func (r *swept) add(c train.Config, p *plan.Planner, modules *counts) error {
	bp, err := p.Whole(r.Batch)
	if err != nil {
		return err
	}
	if len(r.BP.Modules) == 0 {
		r.BP = bp
	}
	if c.Method.Name == "bp" {
		return nil
	}
	numbers := []int{1}
	if p.Divides() {
		if numbers, err = modules.upTo(p.Blocks()); err != nil {
			return err
		}
	}
	goal, _ := c.Method.Auto()
	for _, k := range numbers {
		row := sweptRow{Method: c.Method.Name, Head: c.Head.Name, Modules: k}
		if row.Plan, err = p.Plan(k, r.Batch, plan.Goal(goal)); err != nil {
			return err
		}
		row.Saving, row.Total = savings(row.Plan, bp)
		row.Time = row.Plan.Seconds() / bp.Seconds()
		r.Rows = append(r.Rows, row)
	}
	return nil
}

func (r *swept) print(w io.Writer) error {
	var rows []table.Row
	add := func(row sweptRow) {
		at := row.Plan
		rows = append(rows, table.Row{
			row.Method, row.Modules, shortCuts(at.Cuts), mebibytes(at.ActivationBytes), fmt.Sprintf("%.1f %%", 100*row.Saving), mebibytes(at.PeakBytes),
			fmt.Sprintf("%.1f %%", 100*row.Total), fmt.Sprintf("%.2f", float64(at.ActivationBytes)/float64(r.Batch)/(1<<20)),
			fmt.Sprintf("%.2f", row.Time),
		})
	}
	add(sweptRow{Method: "bp", Modules: 1, Plan: r.BP, Time: 1})
	for _, row := range r.Rows {
		add(row)
	}
	header := table.Row{"method", "modules", "cuts", "activations, MiB", "saved", "peak, MiB", "saved", "MiB an image", "time ÷ bp"}
	if err := printTable(w, header, rows, 4); err != nil {
		return err
	}
	var heads []string
	for _, row := range r.Rows {
		if head := row.Method + " " + row.Head; !slices.Contains(heads, head) {
			heads = append(heads, head)
		}
	}
	_, err := fmt.Fprintf(w, "%s, batch %d of %d×%d, %s; heads: %s; times are predicted from single pieces, %.2f s a step of bp\n",
		r.Model, r.Batch, r.Image, r.Image, r.Precision, strings.Join(heads, ", "), r.BP.Seconds())
	return err
}

// shortCuts leaves out the middle of many; JSON has all.
func shortCuts(cuts []string) string {
	if n := len(cuts); n > 4 {
		cuts = []string{cuts[0], cuts[1], "…", cuts[n-1]}
	}
	return strings.Join(cuts, ",")
}

// draw plots memory and time against the number of modules.
func (r *swept) draw(path string) error {
	unit, bytes := "MiB", float64(1<<20)
	if r.BP.ActivationBytes >= 1<<30 {
		unit, bytes = "GiB", 1<<30
	}
	memory := record.Curves{
		Title: fmt.Sprintf("%s, batch %d of %d×%d", r.Model, r.Batch, r.Image, r.Image), X: "modules K", Y: "activations (" + unit + ")",
		Levels: []record.Level{{Name: "bp", Y: float64(r.BP.ActivationBytes) / bytes}},
	}
	time := record.Curves{
		Title: "Time, from single pieces", X: "modules K", Y: "step ÷ that of bp", Levels: []record.Level{{Name: "bp", Y: 1}},
	}
	for _, row := range r.Rows {
		k := float64(row.Modules)
		memory.Add(row.Method, k, float64(row.Plan.ActivationBytes)/bytes)
		time.Add(row.Method, k, row.Time)
	}
	return record.PlotCurves(path, memory, time)
}
