package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/train"
)

func newExport() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "export RUN|CHECKPOINT FILE",
		Short: "Write a trained network as a PyTorch state dict",
		Long: `Write the uncut network, without its local heads, as a plain PyTorch state dict in a safetensors file.

In Python: model.load_state_dict(safetensors.torch.load_file(FILE)).`,
		Example: "  locus export runs/mine mine.safetensors",
		Args:    takes(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, to := args[0], args[1]
			switch info, err := os.Stat(to); {
			case err == nil && info.IsDir():
				return fault.New("%s is a folder: must be the name of the file to write", to)
			case err == nil && !force:
				return fault.New("%s exists already: give --force to replace it, or another name", to)
			}
			t, err := train.Open(from)
			if err != nil {
				return err
			}
			defer t.Free()
			if err := t.Export(to); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %d tensors of %s\n", to, len(t.Net.Params()), t.Net.Name)
			return err
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "replace the file if it exists")
	return cmd
}
