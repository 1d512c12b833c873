package cli

import (
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/recipe"
	"github.com/locus-learn/locus/train"
)

// flagFault words what pflag found wrong.
func flagFault(cmd *cobra.Command, err error) error {
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok {
		return noSuchFlag(cmd, e)
	}
	if e, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return fault.New("--%s needs a value: %s", e.GetFlag().Name, wanted(e.GetFlag()))
	}
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return fault.New("--%s is %q: must be %s", e.GetFlag().Name, e.GetValue(), wanted(e.GetFlag()))
	}
	return fault.New("%s: %w", cmd.CommandPath(), err)
}

func noSuchFlag(cmd *cobra.Command, e *pflag.NotExistError) error {
	name := e.GetSpecifiedName()
	if e.GetSpecifiedShortnames() != "" {
		return fault.New("unknown flag -%s: flags are written --name; '%s --help' lists them", name, cmd.CommandPath())
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near := nearest(name, names); near != "" {
		return fault.New("unknown flag --%s: did you mean --%s?", name, near)
	}
	if strings.Contains(name, ".") && cmd.Flags().Lookup("set") != nil {
		return fault.New("unknown flag --%s: keys of a recipe are set by --set %s=VALUE", name, name)
	}
	return fault.New("unknown flag --%s: '%s --help' lists the flags", name, cmd.CommandPath())
}

// wanted says what a flag's value must be: its own word for it, or what its type tells.
func wanted(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "int":
		return "a whole number"
	case "uint64":
		return "a whole number of at least 0"
	case "float64":
		return "a number"
	case "bytes":
		return "a size such as 16GiB or 500MB"
	case "counts":
		return "a number from 1 on such as 3, several such as 1-16 or 1,2,8-12, or all"
	case "bool":
		return "true or false"
	}
	word, _ := pflag.UnquoteUsage(f)
	return word
}

// nearest returns the name that was likely meant, "" if none comes near. Cobra has the measure, for commands only.
func nearest(typed string, names []string) string {
	group := &cobra.Command{SuggestionsMinimumDistance: 2}
	for _, name := range names {
		group.AddCommand(&cobra.Command{Use: name, Run: func(*cobra.Command, []string) {}})
	}
	if found := group.SuggestionsFor(typed); len(found) > 0 {
		return found[0]
	}
	return ""
}

// unlimited is a number of arguments.
const unlimited = 1 << 30

// takes wants a number of arguments between least and most, called as in the command's usage line.
func takes(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		_, usage, _ := strings.Cut(cmd.Use, " ")
		switch {
		case len(args) < least:
			return fault.New("%s needs %s: see '%s --help'", cmd.CommandPath(), usage, cmd.CommandPath())
		case len(args) <= most:
			return nil
		case strings.Contains(args[most], "=") && cmd.Flags().Lookup("set") != nil:
			return fault.New("argument %q is one too many: did you mean --set %s?", args[most], args[most])
		case isFolder(args[most]) && cmd.Flags().Lookup("data") != nil:
			return fault.New("argument %q is one too many: did you mean --data %s, the folder to look in?", args[most], args[most])
		case usage == "":
			return fault.New("argument %q is one too many: %s takes none", args[most], cmd.CommandPath())
		}
		return fault.New("argument %q is one too many: %s takes %s", args[most], cmd.CommandPath(), usage)
	}
}

// recipes is takes for names of recipes, which folders are given for by mistake: those of runs, and of photographs.
func recipes(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := takes(least, most)(cmd, args); err != nil {
			return err
		}
		for _, arg := range args {
			named := slices.ContainsFunc(recipe.Names(), func(e recipe.Entry) bool { return e.Name == arg })
			if named || !isFolder(arg) { // a folder may have the name of a recipe, such as that of its last run
				continue
			}
			if _, err := train.LoadRun(arg, nil); err == nil {
				return fault.New("%s is the folder of a run: must be a recipe, such as its config.yaml; train --resume --out %s goes on with it, and report sets runs side by side",
					show.Name(arg), show.Name(arg))
			}
			return fault.New("%s is a folder: must be a recipe; photographs in it are data: --set data.set=folder --data %s, or locus finetune",
				show.Name(arg), show.Name(arg))
		}
		return nil
	}
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// oneOf wants a flag's value to be among the allowed ones.
func oneOf(flag, value string, allowed ...string) error {
	for _, a := range allowed {
		if value == a {
			return nil
		}
	}
	return fault.New("--%s is %q: must be one of %s", flag, value, strings.Join(allowed, ", "))
}
