package cli

import (
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/train"
)

// storedTypes are what --dtype can be.
var storedTypes = map[string]torch.DType{"fp32": torch.Float32, "bf16": torch.BFloat16, "fp16": torch.Float16}

func newExport() *cobra.Command {
	var force bool
	var dtype string
	var exit int
	cmd := &cobra.Command{
		Use:   "export RUN|CHECKPOINT FILE.{safetensors,onnx,pt}",
		Short: "Write a trained network for other programs",
		Long: `Write the uncut network, without its local heads, for other programs. The file's ending decides:

  .safetensors  a plain PyTorch state dict
  .onnx         ONNX, for onnxruntime and others; operator set 17
  .pt           TorchScript, for torch.jit.load

With --exit, the network ends with the local head of that module. Classes, input size, mean and deviation are in the
file's metadata, and in FILE.md, a model card.`,
		Example: `  locus export runs/mine mine.safetensors
  locus export runs/mine mine.onnx --dtype fp16
  locus export runs/mine small.pt --exit 2`,
		Args: takes(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, to := args[0], args[1]
			for _, path := range []string{to, to + train.CardSuffix} {
				if err := free(path, force); err != nil {
					return err
				}
			}
			if _, err := train.Format(to); err != nil {
				return err
			}
			if err := oneOf("dtype", dtype, "fp32", "bf16", "fp16"); err != nil {
				return err
			}
			t, err := train.Open(from)
			if err != nil {
				return err
			}
			defer t.Free()
			if err := t.Export(to, train.ExportOptions{Exit: exit, DType: storedTypes[dtype]}); err != nil {
				return err
			}
			return printColumns(cmd.OutOrStdout(), []string{
				"file\t" + to + "\t" + t.Net.Name + ", " + dtype, "card\t" + to + train.CardSuffix,
			})
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "replace the file if it exists")
	cmd.Flags().StringVar(&dtype, "dtype", "fp32", "`type` that parameters are stored in: fp32, bf16 or fp16")
	completeValues(cmd, "dtype", slices.Sorted(maps.Keys(storedTypes))...)
	cmd.Flags().IntVar(&exit, "exit", 0, "end with the local head of module `K`; 0: the network's classifier")
	return cmd
}
