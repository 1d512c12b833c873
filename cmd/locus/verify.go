package main

import (
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/theory"
)

// verification is one thing that verify can do, asked for by a flag of its name.
type verification struct {
	name, doc string
	run       func(seed uint64) (result any, print func(cmd *cobra.Command) error, err error)
}

var verifications = []verification{
	{"theory", "try the paper's theorem, propositions, lemma and formulas in numbers", verifyTheory},
}

func newVerify() *cobra.Command {
	var seed uint64
	var asJSON bool
	asked := make([]bool, len(verifications))
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check what is claimed, on this machine",
		Long: `Check what is claimed, on this machine. Each claim gets a line: what it says, what was measured, and whether it holds.
docs/theory.md explains the lines of --theory.`,
		Example: "  locus verify --theory\n  locus verify --theory --seed 2 --json",
		Args:    takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			results := map[string]any{}
			for i, v := range verifications {
				if !asked[i] {
					continue
				}
				result, print, err := v.run(seed)
				if err != nil {
					return err
				}
				results[v.name] = result
				if asJSON {
					continue
				}
				if err := print(cmd); err != nil {
					return err
				}
			}
			switch {
			case len(results) == 0:
				return available(cmd)
			case asJSON:
				return printJSON(cmd.OutOrStdout(), results)
			}
			return nil
		},
	}
	for i, v := range verifications {
		cmd.Flags().BoolVar(&asked[i], v.name, false, v.doc)
	}
	cmd.Flags().Uint64Var(&seed, "seed", 1, "`seed` of what is drawn at random")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// available says what can be asked for.
func available(cmd *cobra.Command) error {
	if cmd.Flags().Changed("seed") || cmd.Flags().Changed("json") {
		return fault.New("nothing to verify: give %s", verificationFlags())
	}
	for _, v := range verifications {
		fmt.Fprintf(cmd.OutOrStdout(), "locus verify --%s: %s\n", v.name, v.doc)
	}
	return nil
}

func verificationFlags() string {
	var flags []string
	for _, v := range verifications {
		flags = append(flags, "--"+v.name)
	}
	return strings.Join(flags, " or ")
}

func verifyTheory(seed uint64) (any, func(*cobra.Command) error, error) {
	report, err := theory.Verify(seed)
	return report, func(cmd *cobra.Command) error { return printTheory(cmd, report) }, err
}

func printTheory(cmd *cobra.Command, report theory.Report) error {
	w := cmd.OutOrStdout()
	lines := []string{"VERDICT\tCLAIM\tCLAIMED\tMEASURED"}
	for _, c := range report.Claims {
		lines = append(lines, strings.Join([]string{string(c.Verdict), c.Name, c.Claimed, c.Measured}, "\t"))
	}
	if err := printColumns(w, lines); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nTheorem 3.3 side by side: L₂ − L₂*, and in brackets the bound of Eq. 4, by how far local gradients are reconciled")
	header := table.Row{"iteration"}
	for _, kappa := range theory.Kappas() {
		header = append(header, fmt.Sprintf("%g %%", 100*kappa))
	}
	var rows []table.Row
	for _, d := range report.Descents {
		row := table.Row{d.Iteration}
		for _, p := range d.Points {
			row = append(row, fmt.Sprintf("%.1e (%.1e)", p.Gap, p.Bound))
		}
		rows = append(rows, row)
	}
	if err := printTable(w, header, rows, 1); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nMultiply-adds of a training step, millions an image, beside the paper's training times (Table 5)")
	rows = nil
	for _, c := range report.Costs {
		hours := "–"
		if c.Hours > 0 {
			hours = fmt.Sprintf("%.2f", c.Hours)
		}
		rows = append(rows, table.Row{c.Model, c.Modules, millions(c.Forward), millions(c.BP), millions(c.LayerWise), millions(c.SGR),
			fmt.Sprintf("%.2f", float64(c.SGR)/float64(c.BP)), hours})
	}
	return printTable(w, table.Row{"model", "K", "forward", "bp", "layerwise", "sgr", "sgr/bp", "hours, sgr/bp"}, rows, 2)
}

func millions(n int64) string { return fmt.Sprintf("%.0f", float64(n)/1e6) }
