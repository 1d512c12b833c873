package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/locus-learn/locus/train"
)

func newShow() *cobra.Command {
	var sets []string
	var brief bool
	cmd := &cobra.Command{
		Use:   "show [RECIPE]",
		Short: "Print a recipe in full, and where each value comes from",
		Long: `Print every key of a recipe with its value and, behind it, where the value comes from: the recipe itself, a base
that it builds on, --set, the method, or the default. What is printed is a recipe again.`,
		Example: `  locus show fashion-sgr
  locus show --brief short-cifar10-sgr
  locus show mine.yaml --set optim.lr=0.05 > resolved.yaml`,
		Args:              recipes(0, 1),
		ValidArgsFunction: completeRecipes,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, origins, err := train.Resolve(strings.Join(args, ""), sets) // one or none
			if err != nil {
				return err
			}
			doc, err := origins.Annotate(&c, brief)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(doc)
			return err
		},
	}
	addSet(cmd, &sets)
	cmd.Flags().BoolVar(&brief, "brief", false, "leave out what has its default")
	return cmd
}
