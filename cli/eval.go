package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/locus-learn/locus/internal/show"
	reporting "github.com/locus-learn/locus/report"
	"github.com/locus-learn/locus/train"
)

// evaluation is what eval --json prints.
type evaluation struct {
	Checkpoint string         `json:"checkpoint"`
	Set        string         `json:"set"`
	Data       string         `json:"data"` // folder of the set
	On         train.Split    `json:"on"`
	Subset     bool           `json:"subset"`
	Images     int            `json:"images"`
	MultiLabel bool           `json:"multi_label,omitempty"` // an image has any number of classes: scores has map, f1 and f1_micro, in per cent
	Modules    []moduleResult `json:"modules"`
}

type moduleResult struct {
	Module int                 `json:"module"`
	Blocks []string            `json:"blocks"`
	Top1   accuracy            `json:"top1"`
	Top5   accuracy            `json:"top5"`
	Scores map[string]accuracy `json:"scores,omitempty"` // what else the method measures heads by; no per cents

	others []train.Named // the same, in order
}

// accuracy is in percent; NaN, of a head that gives no answer, is null in JSON.
type accuracy float64

// MarshalJSON implements json.Marshaler.
func (a accuracy) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(a)) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(a))
}

func newEval() *cobra.Command {
	var on, data, report string
	var asJSON bool
	var sets []string
	cmd := &cobra.Command{
		Use:   "eval RUN|CHECKPOINT",
		Short: "Measure the accuracy of every head of a trained network",
		Long: `Measure top-1 and top-5 accuracy, in percent, of every head of a trained network: a run folder or a checkpoint. Where
images have any number of classes, it is mean average precision and F1.

--report writes a page, tables and pictures into a folder: accuracy a class, what is taken for what, how far confidence
can be trusted, the worst mistakes, and what it saves to leave at the first head that is sure enough.`,
		Example: `  locus eval runs/mine
  locus eval runs/mine/best.safetensors --on validation
  locus eval runs/mine --report mine-report`,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf("on", on, string(train.Test), string(train.Validation)); err != nil {
				return err
			}
			e, err := evaluate(cmd, args[0], train.Split(on), data, report, sets)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), e)
			}
			if err := e.print(cmd); err != nil || report == "" {
				return err
			}
			return printColumns(cmd.OutOrStdout(), []string{"page\t" + filepath.Join(report, reporting.PageFile)})
		},
	}
	cmd.Flags().StringVar(&on, "on", string(train.Test), "`part` of the data: test or validation")
	addData(cmd, &data)
	addDevice(cmd, &sets)
	cmd.Flags().StringVar(&report, "report", "", "write a page, tables and pictures of what the heads answer into this `folder`")
	must(cmd.MarkFlagDirname("report"))
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	must(cmd.RegisterFlagCompletionFunc("on", cobra.FixedCompletions(
		[]cobra.Completion{string(train.Test), string(train.Validation)}, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

func evaluate(cmd *cobra.Command, path string, on train.Split, data, report string, sets []string) (evaluation, error) {
	t, err := train.Open(path, sets...)
	if err != nil {
		return evaluation{}, err
	}
	defer t.Free()
	var got train.Evaluation
	if report == "" {
		got, err = t.Evaluate(cmd.Context(), on, data, warn(cmd))
	} else {
		got, err = examine(cmd, t, on, data, report)
	}
	if err != nil {
		return evaluation{}, err
	}
	e := evaluation{Checkpoint: t.Path, Set: got.Set, Data: got.Dir, On: on, Subset: got.Subset, Images: got.Images, MultiLabel: t.Rule.MultiLabel}
	for i, m := range t.Modules() {
		head := got.Heads[i]
		r := moduleResult{
			Module: m.Index, Blocks: m.Blocks, Top1: accuracy(head.Top1), Top5: accuracy(head.Top5), others: head.Others,
		}
		if e.MultiLabel { // which has no top-1
			r.others = append([]train.Named{{Name: "map", Value: head.Top1}}, head.Others...)
			r.Top1 = accuracy(math.NaN())
		}
		for _, o := range r.others {
			if r.Scores == nil {
				r.Scores = map[string]accuracy{}
			}
			r.Scores[o.Name] = accuracy(o.Value)
		}
		e.Modules = append(e.Modules, r)
	}
	return e, nil
}

func (e evaluation) print(cmd *cobra.Command) error {
	w := cmd.OutOrStdout()
	fmt.Fprintf(w, "%s on %d %s images of %s", show.Name(e.Checkpoint), e.Images, e.On, show.Name(e.Set))
	if e.Data != "" {
		fmt.Fprintf(w, " in %s", show.Name(e.Data))
	}
	fmt.Fprintln(w)
	header := table.Row{"module", "blocks", "top-1, %", "top-5, %"}
	if e.MultiLabel {
		return e.printRanking(w)
	}
	for _, o := range e.Modules[0].others {
		header = append(header, o.Name)
	}
	var rows []table.Row
	for _, m := range e.Modules {
		row := table.Row{m.Module, span(m.Blocks), percent(float64(m.Top1)), percent(float64(m.Top5))}
		for _, o := range m.others {
			row = append(row, percent(o.Value))
		}
		rows = append(rows, row)
	}
	return printTable(w, header, rows, 3)
}

// printRanking is print where an image has any number of classes.
func (e evaluation) printRanking(w io.Writer) error {
	var rows []table.Row
	for _, m := range e.Modules {
		row := table.Row{m.Module, span(m.Blocks)}
		for _, o := range m.others {
			row = append(row, percent(o.Value))
		}
		rows = append(rows, row)
	}
	return printTable(w, table.Row{"module", "blocks", "mAP, %", "F1, %", "F1 of all answers, %"}, rows, 3)
}
