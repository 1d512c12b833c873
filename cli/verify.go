package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/method/methodtest"
	"github.com/locus-learn/locus/theory"
	"github.com/locus-learn/locus/torch"
)

// verification is one thing that verify can do, asked for by a flag of its name.
type verification struct {
	name, doc string
	// run prints lines to line as it goes, unless that is nil, and returns the whole for JSON. An error of a claim that
	// does not hold comes with it.
	run func(cmd *cobra.Command, methods []string, seed uint64, quiet bool) (result any, err error)
}

var verifications = []verification{
	{"claims", "try on small networks what every method claims and owes; without a flag, this", verifyClaims},
	{"theory", "try the paper's theorem, propositions, lemma and formulas in numbers", verifyTheory},
}

func newVerify() *cobra.Command {
	var seed uint64
	var asJSON bool
	var device string
	asked := make([]bool, len(verifications))
	cmd := &cobra.Command{
		Use:   "verify [METHOD...]",
		Short: "Check what is claimed, on this machine",
		Long: `Check what is claimed, on this machine. Each claim gets a line: what it says, what was measured, and whether it holds.
Methods named are tried alone. A method's claim that does not hold ends with exit code 1. docs/theory.md explains the
lines of --theory. With --device, steps of every method on that device, and of further networks, heads and optimizers,
are compared with the CPU's.`,
		Example: "  locus verify\n  locus verify sgr etf-sgr\n  locus verify --theory --seed 2 --json\n  locus verify --device cuda",
		Args:    takes(0, unlimited),
		ValidArgsFunction: func(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return completeMethods(nil, nil, strings.ReplaceAll(typed, ",", ""))
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := methodsExist(args); err != nil {
				return err
			}
			if !slices.Contains(asked, true) && device == "" {
				asked[0] = true
			}
			results := map[string]any{}
			var failed error
			if device != "" {
				result, err := verifyDevice(cmd, device, args, seed, asJSON)
				if result == nil {
					return err
				}
				results["device"], failed = result, err
			}
			for i, v := range verifications {
				if !asked[i] {
					continue
				}
				result, err := v.run(cmd, args, seed, asJSON)
				if result == nil {
					return err
				}
				results[v.name], failed = result, cmp.Or(failed, err)
			}
			if asJSON {
				if err := printJSON(cmd.OutOrStdout(), results); err != nil {
					return err
				}
			}
			return failed
		},
	}
	for i, v := range verifications {
		cmd.Flags().BoolVar(&asked[i], v.name, false, v.doc)
	}
	cmd.Flags().StringVar(&device, "device", "", "`D` to compare with the CPU: cuda (the first card) or cuda:N")
	completeDevices(cmd)
	cmd.Flags().Uint64Var(&seed, "seed", 1, "`seed` of what is drawn at random")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// methodsExist refuses names of methods that there are not.
func methodsExist(names []string) error {
	for _, name := range names {
		if _, _, err := method.Lookup(method.Options{Name: name}); err != nil && !slices.ContainsFunc(method.All(), func(m method.Method) bool { return m.Name == name }) {
			return err
		}
	}
	return nil
}

// ofMethods keeps the subjects of some methods, of all where none is named.
func ofMethods(subjects []methodtest.Subject, methods []string) []methodtest.Subject {
	if len(methods) == 0 {
		return subjects
	}
	return slices.DeleteFunc(subjects, func(s methodtest.Subject) bool {
		name, _, _ := strings.Cut(s.Name, " ") // "dgl + sgr" is dgl, too
		return !slices.Contains(methods, name)
	})
}

// verifyClaims runs the conformance suite over all methods.
func verifyClaims(cmd *cobra.Command, methods []string, seed uint64, quiet bool) (any, error) {
	subjects, err := methodtest.Subjects(seed)
	if err != nil {
		return nil, err
	}
	return tryAll(cmd, ofMethods(subjects, methods), methodtest.Run, quiet)
}

// verifyDevice compares a device with the CPU.
func verifyDevice(cmd *cobra.Command, name string, methods []string, seed uint64, quiet bool) (any, error) {
	d, err := torch.ParseDevice(name)
	if err == nil {
		err = d.Available()
	}
	if err != nil {
		return nil, fault.New("--device is %s: %v; 'locus doctor' shows what there is", name, err)
	}
	torch.SetArithmetic(torch.Arithmetic{Deterministic: true})
	subjects, err := methodtest.Subjects(seed)
	if err != nil {
		return nil, err
	}
	variants, err := methodtest.Variants(seed)
	if err != nil {
		return nil, err
	}
	compare := func(s methodtest.Subject, report func(methodtest.Finding)) { methodtest.Compare(s, d, report) }
	if len(methods) == 0 { // variants are of networks, heads and optimizers
		subjects = append(subjects, variants...)
	}
	return tryAll(cmd, ofMethods(subjects, methods), compare, quiet)
}

// tryAll prints what is found of each subject, and returns it with an error for the first failure.
func tryAll(cmd *cobra.Command, subjects []methodtest.Subject, try func(methodtest.Subject, func(methodtest.Finding)), quiet bool) (any, error) {
	var findings []methodtest.Finding
	var failed error
	for _, s := range subjects {
		try(s, func(f methodtest.Finding) {
			findings = append(findings, f)
			if f.Failed() && failed == nil {
				failed = fmt.Errorf("%s does not pass %s: %s", f.Method, f.Check, f.Failure)
			}
			if !quiet {
				fmt.Fprintln(cmd.OutOrStdout(), findingLine(f))
			}
		})
		if err := cmd.Context().Err(); err != nil {
			return nil, err
		}
	}
	return findings, failed
}

func findingLine(f methodtest.Finding) string {
	verdict, text := "holds", f.Note
	if f.Failed() {
		verdict, text = "FAILS", f.Failure
	}
	return fmt.Sprintf("%s  %-22s %-12s %5.2f s  %s", verdict, f.Method, f.Check, f.Seconds, text)
}

func verifyTheory(cmd *cobra.Command, _ []string, seed uint64, quiet bool) (any, error) {
	report, err := theory.Verify(seed)
	if err == nil && !quiet {
		err = printTheory(cmd, report)
	}
	if err != nil {
		return nil, err
	}
	return report, nil
}

func printTheory(cmd *cobra.Command, report theory.Report) error {
	w := cmd.OutOrStdout()
	for _, c := range report.Claims {
		fmt.Fprintf(w, "%s  %s\n%s\n%s\n", c.Verdict, c.Name, wrapped("claimed: "+c.Claimed, "    ", columns(w)), wrapped("measured: "+c.Measured, "    ", columns(w)))
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
