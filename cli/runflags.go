package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/record"
	"github.com/locus-learn/locus/train"
)

// runFlags are what train and compare have in common.
type runFlags struct {
	sets          []string
	data, out     string
	web           string
	resume, force bool
	steps         int
}

func (f *runFlags) add(cmd *cobra.Command, out string) {
	addData(cmd, &f.data)
	f.addTo(cmd, out)
}

// addTo is add without the folder of the data, which a command may take otherwise.
func (f *runFlags) addTo(cmd *cobra.Command, out string) {
	addSet(cmd, &f.sets)
	cmd.Flags().StringVar(&f.out, "out", "", "`folder` of the results (default "+out+")")
	cmd.Flags().BoolVar(&f.resume, "resume", false, "go on with what is in the folder given by --out")
	cmd.Flags().BoolVar(&f.force, "force", false, "replace a run that is in the folder")
	cmd.Flags().IntVar(&f.steps, "steps", -1, "train for `N` steps instead of the recipe's epochs; 0 only writes the initial checkpoint")
	cmd.Flag("steps").DefValue = "0" // so that the help names no default: it is the recipe's
	cmd.Flags().StringVar(&f.web, "web", "", "`ADDRESS` of a page that shows the run while it trains, such as 127.0.0.1:8080")
	must(cmd.MarkFlagDirname("out"))
}

// check refuses values that cannot be used, and flags that contradict each other.
func (f *runFlags) check(cmd *cobra.Command) error {
	switch {
	case cmd.Flags().Changed("steps") && f.steps < 0:
		return fault.New("--steps is %d: must be at least 0", f.steps)
	case f.resume && f.out == "":
		return fault.New("--resume needs --out: the folder of the run to go on with")
	case f.resume && f.force:
		return fault.New("--resume goes on with a run, --force replaces it: must be one of them")
	}
	return nil
}

func (f *runFlags) options(cmd *cobra.Command) train.Options {
	return train.Options{
		Data: f.data, Out: f.out, Resume: f.resume, Force: f.force, Steps: f.steps, Notice: warn(cmd),
		Adopted: func(a model.Adoption) { must(printColumns(cmd.ErrOrStderr(), a.Lines())) },
		Save:    saveAsked(cmd.Context()), Patience: patience,
	}
}

// patience is how long the last checkpoint of a run is tried again where it cannot be written.
var patience = 30 * time.Second

// progress returns a sink that reports on standard error.
func progress(cmd *cobra.Command) record.Sink {
	w := cmd.ErrOrStderr()
	return record.NewProgress(w, isTerminal(w))
}

func addSet(cmd *cobra.Command, to *[]string) {
	cmd.Flags().Var(assignments{to: to}, "set", "override a key of the recipe by `key=value`, such as optim.lr=0.05; may be repeated")
	must(cmd.RegisterFlagCompletionFunc("set", completeKeys))
	addDevice(cmd, to)
}

// assignments is a flag that adds key=value to a list, in the order of the command line; or, with a key, the key's value. Several
// flags may share a list: the lists of pflag forget what was there before their own first use.
type assignments struct {
	to  *[]string
	key string
}

// Set implements [pflag.Value].
func (a assignments) Set(value string) error {
	if a.key != "" {
		value = a.key + "=" + value
	}
	*a.to = append(*a.to, value)
	return nil
}

// Type implements [pflag.Value].
func (assignments) Type() string { return "assignment" }

// String implements [pflag.Value]: there is no default to show.
func (assignments) String() string { return "" }

// addDevice adds a flag that stands for the recipe's key of that name.
func addDevice(cmd *cobra.Command, sets *[]string) {
	cmd.Flags().Var(assignments{to: sets, key: "device"}, "device", "`D` to compute on: cpu, cuda (the first card) or cuda:N (default the recipe's)")
	completeDevices(cmd)
}

func completeDevices(cmd *cobra.Command) {
	must(cmd.RegisterFlagCompletionFunc("device", cobra.FixedCompletions([]string{"cpu", "cuda", "cuda:1"}, cobra.ShellCompDirectiveNoFileComp)))
}

func addData(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "data", "", "`folder` to look for the data set in first")
	must(cmd.MarkFlagDirname("data"))
}

// must panics on what only a mistake in this program can cause.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
