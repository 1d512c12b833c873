package cli

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	reporting "github.com/locus-learn/locus/report"
	"github.com/locus-learn/locus/train"
)

func newReport() *cobra.Command {
	var by []string
	var out, width string
	cmd := &cobra.Command{
		Use:   "report RUNS...",
		Short: "Make a table, pictures and a page of runs that exist",
		Long: `Put runs that exist side by side: a table as Markdown, CSV and LaTeX, pictures as SVG, PDF and PNG at the width of a
paper's column, and a page with all of it. RUNS are folders of runs, or folders that have such below them.

A row has the runs that agree in the keys of --by, and shows mean ± standard deviation over them; runs that differ in
the seed alone share a row. Without --by, rows are by the keys in which the runs differ. Nothing is trained, and no
file is replaced that a report has not written.`,
		Example: `  locus report runs/compare-20260131-120000
  locus report runs --by method,seed --out paper
  locus report runs/bp-* runs/sgr-* --by method,optim.lr --width page`,
		Args: takes(1, unlimited),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf("width", width, string(reporting.Column), string(reporting.Page)); err != nil {
				return err
			}
			runs, err := reporting.Find(args, warn(cmd))
			if err != nil {
				return err
			}
			g, err := reporting.GroupBy(runs, by, warn(cmd))
			if err != nil {
				return err
			}
			if out == "" {
				if out, err = train.NewOut("report", time.Now()); err != nil {
					return err
				}
			}
			if err := g.Write(out, reporting.Width(width)); err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			fmt.Fprintln(w, g.Plain())
			return printColumns(w, []string{
				"page\t" + filepath.Join(out, reporting.PageFile), "table\t" + filepath.Join(out, "table.{md,csv,tex}"), "pictures\t" + filepath.Join(out, "*.{svg,pdf,png}"),
			})
		},
	}
	cmd.Flags().StringSliceVar(&by, "by", nil, "`keys` that tell rows apart, such as method,seed (default those that differ)")
	cmd.Flags().StringVar(&out, "out", "", "`folder` of the report (default runs/report-TIME)")
	cmd.Flags().StringVar(&width, "width", string(reporting.Column), "`W` of the pictures: column (3.25 inches) or page (6.75)")
	must(cmd.MarkFlagDirname("out"))
	must(cmd.RegisterFlagCompletionFunc("by", completeBy))
	must(cmd.RegisterFlagCompletionFunc("width", cobra.FixedCompletions([]string{string(reporting.Column), string(reporting.Page)}, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}
