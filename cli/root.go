package cli

import (
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/record"
	"github.com/locus-learn/locus/torch"
)

const greeting = `Locus trains deep networks by local learning: in modules that no gradient crosses, reconciled by SGR.

  locus train                                                 train the quickstart recipe on Fashion-MNIST
  locus compare --methods bp,layerwise,sgr fashion-sgr        three methods side by side, a table and a picture
  locus eval runs/mlp-sgr-20260131-120000                     accuracy of every head of a trained network

'locus help' lists the commands, 'locus COMMAND --help' explains one, 'locus doctor' looks at this machine.
`

// newRoot builds the tree of commands anew, because cobra keeps what it parsed in it.
func newRoot(stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:               "locus",
		Short:             "Train deep networks by local learning",
		Long:              "Locus trains deep networks by local learning: in modules that no gradient crosses, reconciled by SGR.",
		Version:           version(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              noSuchCommand,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return named(cmd) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(cmd.OutOrStdout(), strings.NewReplacer("  locus ", "  "+self+" ", "'locus ", "'"+self+" ").Replace(greeting))
			return err
		},
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(flagFault)
	root.SetHelpCommand(newHelp(root))
	root.AddCommand(newTrain(), newFinetune(), newLRFind(), newEval(), newPredict(), newServe(), newExport(), newCompare(), newStudy(), newReport(), newWatch(), newBench(), newPlan(), newFrontier(), newShow(), newList(), newData(), newVerify(), newDoctor())
	root.InitDefaultCompletionCmd() // now, so that it gets our errors too; it keeps the writers set before
	for _, c := range root.Commands() {
		if c.HasSubCommands() && c.RunE == nil {
			c.Args = noSuchCommand
			c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
	return root
}

// named refuses flags that are given and empty, as by a variable of the shell that is not set: they would count as not given.
func named(cmd *cobra.Command) (err error) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if err == nil && f.Value.Type() == "string" && f.Value.String() == "" {
			what, _ := pflag.UnquoteUsage(f)
			err = fault.New("--%s is empty: must be a %s, or not be given", f.Name, what)
		}
	})
	return err
}

func version() string {
	env := record.CollectEnv("", 0)
	commit := env.Commit
	if len(commit) > 12 {
		commit = commit[:12]
	}
	if commit != "" && env.Modified {
		commit += " with changes"
	}
	text := "locus " + env.Version
	if commit != "" {
		text += ", commit " + commit
	}
	return fmt.Sprintf("%s, libtorch %s, %s %s/%s", text, torch.Version(), env.Go, runtime.GOOS, runtime.GOARCH)
}

func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Explain a command",

		ValidArgsFunction: completeCommands(root),
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return noSuchCommand(cmd, rest)
			}
			cmd.InitDefaultHelpFlag() // which cobra otherwise adds when the command runs
			cmd.InitDefaultVersionFlag()
			return cmd.Help()
		},
	}
}

// noSuchCommand refuses arguments to a command that has only sub-commands.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	if near := nearest(args[0], names); near != "" {
		return fault.New("unknown command %q: did you mean '%s %s'?", args[0], cmd.CommandPath(), near)
	}
	return fault.New("unknown command %q: '%s --help' lists what there is", args[0], cmd.CommandPath())
}
