package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/terminal"
	"github.com/locus-learn/locus/record"
	reporting "github.com/locus-learn/locus/report"
	"github.com/locus-learn/locus/train"
)

func newCompare() *cobra.Command {
	var f runFlags
	var methods []string
	var init string
	cmd := &cobra.Command{
		Use:   "compare RECIPE... | --methods a,b,c [RECIPE]",
		Short: "Train several recipes or methods, one table and one picture",
		Long: `Train several recipes, or one recipe by several methods, one after the other, and put the results side by side: a
table, and a picture of accuracy, loss and memory. Each run gets a folder of its own under --out.

With --methods the recipe stays, but for method.name and the heads that a method brings along: the same seed, order of
images and number of steps, which greedy shares out among its modules. A head without classes has no accuracy: –.`,
		Example: `  locus compare fashion-bp fashion-layerwise fashion-sgr --steps 400
  locus compare --methods bp,sgr cifar10-resnet32-sgr-k3 --set schedule.epochs=10`,
		Args:              recipes(0, unlimited),
		ValidArgsFunction: completeRecipes,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(cmd); err != nil {
				return err
			}
			if f.steps == 0 {
				return fault.New("--steps is 0: compare needs at least 1")
			}
			if f.resume && init != "" {
				return fault.New("--resume goes on with a comparison's own weights, --init starts from others: must be one of them")
			}
			configs, arms, err := f.configs(args, methods)
			if err != nil {
				return err
			}
			if !f.resume {
				lines, err := train.IdleAmong(arms)
				if err != nil {
					return err
				}
				warnEach(cmd, lines)
			}
			if f.out == "" {
				if f.out, err = train.NewOut("compare", time.Now()); err != nil {
					return err
				}
			}
			hide, err := f.show(cmd)
			if err != nil {
				return err
			}
			defer hide()
			outliveReaders()
			sink := func() record.Sink { return progress(cmd) }
			o := f.options(cmd)
			o.Init = init
			o.Budget = len(methods) > 0
			rows, err := train.Compare(cmd.Context(), configs, o, sink)
			return f.finish(cmd, rows, err, slices.ContainsFunc(configs, func(c train.Config) bool { return c.Diagnose.Every > 0 }))
		},
	}
	f.add(cmd, "runs/compare-TIME")
	cmd.Flags().StringSliceVar(&methods, "methods", nil, "train one recipe by each of these `methods`, such as bp,layerwise,sgr")
	cmd.Flags().StringVar(&init, "init", "", "start every run from the weights in `file`: a checkpoint, or published ones as safetensors")
	must(cmd.RegisterFlagCompletionFunc("methods", completeMethods))
	return cmd
}

// configs resolves what is compared, and says what each was asked for.
func (f *runFlags) configs(recipes, methods []string) (configs []train.Config, arms []train.Arm, err error) {
	switch {
	case len(methods) == 0 && len(recipes) == 0:
		return nil, nil, fault.New("nothing to compare: give recipes, or --methods such as bp,layerwise,sgr")
	case len(methods) > 0 && len(recipes) > 1:
		return nil, nil, fault.New("--methods compares methods on one recipe, not on %d", len(recipes))
	case len(methods) == 0:
		for _, name := range recipes {
			arms = append(arms, train.Arm{Name: name, Recipe: name, Shared: f.sets})
		}
	}
	for _, method := range methods {
		own := []string{"method.name=" + method}
		arms = append(arms, train.Arm{Name: method, Recipe: strings.Join(recipes, ""), Shared: f.sets, Own: own})
	}
	for _, a := range arms {
		c, err := train.Load(a.Recipe, slices.Concat(a.Shared, a.Own))
		if err != nil {
			return nil, nil, err
		}
		if len(methods) > 0 {
			c.Name = a.Name
		}
		configs = append(configs, c)
	}
	return configs, arms, nil
}

// finish prints the runs that are done, also when the comparison ended early.
func (f *runFlags) finish(cmd *cobra.Command, rows record.Table, err error, diagnosed bool) error {
	w := cmd.OutOrStdout()
	if len(rows) > 0 {
		text := rows.Plain()
		if isTerminal(w) {
			text = rows.Terminal(terminal.Columns(w))
		}
		fmt.Fprintln(w, text)
	}
	if errors.Is(err, train.ErrInterrupted) {
		return fmt.Errorf("%w: give the same command with --resume --out %s", err, shellWord(f.out))
	}
	if err != nil {
		return err
	}
	lines := []string{"picture\t" + filepath.Join(f.out, "compare.svg")}
	if at, err := f.report(); err != nil {
		warn(cmd)(fmt.Sprintf("there is no report: %v", err))
	} else {
		lines = append(lines, "page\t"+at)
	}
	if diagnosed {
		lines = append(lines, "figures\t"+filepath.Join(f.out, "{agreement,shift,curves}.svg"))
	}
	return printColumns(w, append(lines, "table\t"+filepath.Join(f.out, "compare.md"), "runs\t"+f.out))
}

// report makes a report of all runs in the folder, and returns its page.
func (f *runFlags) report() (string, error) {
	quiet := func(string) {}
	runs, err := reporting.Find([]string{f.out}, quiet)
	if err != nil {
		return "", err
	}
	g, err := reporting.GroupBy(runs, nil, quiet)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(f.out, "report")
	return filepath.Join(dir, reporting.PageFile), g.Write(dir, reporting.Column)
}
