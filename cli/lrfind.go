package cli

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	reporting "github.com/locus-learn/locus/report"
	"github.com/locus-learn/locus/train"
)

func newLRFind() *cobra.Command {
	var sets []string
	var out string
	o := train.RateOptions{From: 1e-5, To: 10, Steps: 100}
	cmd := &cobra.Command{
		Use:   "lr-find [RECIPE]",
		Short: "Try learning rates and suggest one",
		Long: `Train a new network of a recipe for some steps at a learning rate that rises from step to step, and draw the loss over
the rate (the range test of Smith 2017). The suggestion is where the loss falls fastest. No run is made or changed.

Ctrl-C ends the trial; what was tried until then is drawn.`,
		Example: `  locus lr-find fashion-sgr
  locus lr-find mine.yaml --data ~/photos --from 1e-4 --to 1 --steps 200 --out rates`,
		Args:              recipes(0, 1),
		ValidArgsFunction: completeRecipes,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.Check(); err != nil {
				return err
			}
			name := ""
			if len(args) > 0 {
				name = args[0]
			}
			c, err := train.Load(name, sets)
			if err != nil {
				return err
			}
			idle, err := train.Idle(name, sets)
			if err != nil {
				return err
			}
			warnEach(cmd, idle)
			if out != "" {
				if err := reporting.Writable(out); err != nil {
					return err
				}
			}
			return findRate(cmd, c, o, out)
		},
	}
	addData(cmd, &o.Data)
	addSet(cmd, &sets)
	cmd.Flags().Float64Var(&o.From, "from", o.From, "`rate` of the first step")
	cmd.Flags().Float64Var(&o.To, "to", o.To, "`rate` of the last step")
	cmd.Flags().IntVar(&o.Steps, "steps", o.Steps, "`N` steps to take")
	cmd.Flags().StringVar(&out, "out", "", "`folder` of the picture and the table (default runs/lr-find-TIME)")
	must(cmd.MarkFlagDirname("out"))
	return cmd
}

// findRate tries rates, also those of a trial that is interrupted, and says what it has found.
func findRate(cmd *cobra.Command, c train.Config, o train.RateOptions, out string) error {
	o.Notice, o.Progress = warn(cmd), turns(cmd.ErrOrStderr())
	found, stopped := train.TryRates(cmd.Context(), c, o)
	if len(found.Points) == 0 {
		return stopped
	}
	if out == "" {
		var err error
		if out, err = train.NewOut("lr-find", time.Now()); err != nil {
			return err
		}
	}
	r := reporting.Rates{Suggestion: found.Suggestion}
	for _, p := range found.Points {
		r.LR, r.Loss, r.Smooth, r.Modules = append(r.LR, p.LR), append(r.Loss, p.Loss), append(r.Smooth, p.Smooth), append(r.Modules, p.Modules)
	}
	if err := r.Write(out, reporting.Column); err != nil {
		return err
	}
	last := found.Points[len(found.Points)-1]
	rows := []string{fmt.Sprintf("tried\t%d steps, rates from %.3g to %.3g", len(found.Points), found.Points[0].LR, last.LR)}
	if found.Rose {
		rows[0] += ", where the loss had risen"
	}
	if found.Suggestion > 0 {
		rows = append(rows, fmt.Sprintf("suggestion\t--set optim.lr=%.2g, where the loss falls fastest; it is lowest at %.2g", found.Suggestion, found.Lowest))
	} else {
		rows = append(rows, "suggestion\tnone: the loss does not fall; try a lower --from, or more --steps")
	}
	rows = append(rows, "picture\t"+filepath.Join(out, "lr-find.{svg,pdf,png}"), "table\t"+filepath.Join(out, "lr-find.csv"))
	if err := printColumns(cmd.OutOrStdout(), rows); err != nil {
		return err
	}
	return stopped
}
