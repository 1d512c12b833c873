package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/recipe"
	"github.com/locus-learn/locus/train"
	"github.com/locus-learn/locus/zoo"
)

func completeRecipes(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var found []cobra.Completion
	for _, e := range recipe.Names() {
		found = append(found, cobra.CompletionWithDesc(e.Name, e.Summary))
	}
	return found, cobra.ShellCompDirectiveDefault // a file is a recipe too
}

// completeKeys completes key= and, behind it, the values of keys that have few.
func completeKeys(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	keys, err := recipe.Keys(&train.Config{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var found []cobra.Completion
	if key, _, valued := strings.Cut(typed, "="); valued {
		for _, k := range keys {
			for _, value := range k.Choices {
				if k.Path == key {
					found = append(found, key+"="+value)
				}
			}
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
	for _, k := range keys {
		found = append(found, cobra.CompletionWithDesc(k.Path+"=", k.Doc))
	}
	return found, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}

// completeValues has a flag complete to one of a few values.
func completeValues(cmd *cobra.Command, flag string, values ...string) {
	must(cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)))
}

// completeCommands completes the name of a command.
func completeCommands(root *cobra.Command) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) (found []cobra.Completion, _ cobra.ShellCompDirective) {
		for _, c := range root.Commands() {
			if len(args) == 0 && c.IsAvailableCommand() {
				found = append(found, cobra.CompletionWithDesc(c.Name(), c.Short))
			}
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeMethods completes the last name of a list a,b,c.
func completeMethods(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	before := typed[:strings.LastIndex(typed, ",")+1]
	var found []cobra.Completion
	for _, m := range method.All() {
		found = append(found, cobra.CompletionWithDesc(before+m.Name, m.Doc))
	}
	return found, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}

func completeModels(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var found []cobra.Completion
	for _, m := range zoo.Models() {
		found = append(found, cobra.CompletionWithDesc(m.Name, m.Doc))
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}

func completeSets(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var found []cobra.Completion
	for _, s := range data.Sets() {
		found = append(found, cobra.CompletionWithDesc(s.Name, s.Doc))
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}

// completeBy completes the last key of a list a,b,c.
func completeBy(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	before := typed[:strings.LastIndex(typed, ",")+1]
	keys, err := recipe.Keys(&train.Config{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	found := []cobra.Completion{cobra.CompletionWithDesc(before+"method", "that the runs were trained by")}
	for _, k := range keys {
		found = append(found, cobra.CompletionWithDesc(before+k.Path, k.Doc))
	}
	return found, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}
