package cli

import (
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/train"
)

// tuning are flags that stand for keys of the recipe.
var tuning = []struct{ flag, key, doc string }{
	{"model", "model.name", "`network` that the weights are of; a checkpoint of ours says it itself (model.name)"},
	{"method", "method.name", "`method` to train by (method.name; default bp)"},
	{"modules", "method.modules", "number `K` of modules of a local method (method.modules; default 3)"},
	{"freeze", "tune.freeze", "`parts` that stay as they are, such as stem,layer1, or body for all but heads (tune.freeze)"},
	{"layer-decay", "tune.layer_decay", "rate of a block over that of the one behind it, a number `F` up to 1 (tune.layer_decay; default 1)"},
	{"head-init", "tune.head_init", "how new heads begin: fresh, means or probe, a `WAY` (tune.head_init; default fresh)"},
	{"head-rate", "tune.head_rate", "factor `F` of the rate of heads (tune.head_rate; default 1)"},
	{"head-warmup", "tune.head_warmup", "`share` of the training in which heads alone learn (tune.head_warmup; default 0)"},
	{"patience", "eval.patience", "end after `N` evaluations without a better validation accuracy (eval.patience; default 0 = never)"},
	{"epochs", "schedule.epochs", "`number` of epochs (schedule.epochs; default 10)"},
}

func newFinetune() *cobra.Command {
	var f runFlags
	var from string
	cmd := &cobra.Command{
		Use:   "finetune DIR --from FILE",
		Short: "Go on from trained weights on photographs of your own",
		Long: `Go on from trained weights on photographs of your own: DIR holds train/CLASS/* and val/CLASS/*. A tenth of train is
held out to choose the best weights, best.safetensors in the run folder; val is the test.

FILE is a checkpoint, a run folder, or published weights as safetensors or .pth. Four lines say what becomes of them.
Underneath is the recipe finetune, and every flag is a key of it. 'locus train --resume' goes on with such a run.`,
		Example: `  locus finetune photos --from resnet18.pth --model resnet18
  locus finetune photos --from vit_s.safetensors --model vit_s --freeze body --head-init probe
  locus finetune photos --from runs/mine --method sgr --modules 3 --freeze stem,layer1`,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(cmd); err != nil {
				return err
			}
			f.data = args[0]
			return finetune(cmd, &f, from)
		},
	}
	f.addTo(cmd, "runs/finetune-TIME")
	for _, t := range tuning {
		cmd.Flags().Var(assignments{to: &f.sets, key: t.key}, t.flag, t.doc)
	}
	cmd.Flags().StringVar(&from, "from", "", "start from the weights in `FILE`")
	must(cmd.RegisterFlagCompletionFunc("model", completeModels))
	must(cmd.RegisterFlagCompletionFunc("method", completeMethods))
	return cmd
}

func finetune(cmd *cobra.Command, f *runFlags, from string) (err error) {
	o := f.options(cmd)
	var c train.Config
	switch {
	case f.resume && from != "":
		return fault.New("--resume goes on with a run's own weights, --from starts from others: must be one of them")
	case f.resume:
		c, err = f.config(nil)
	case from == "":
		return fault.New("finetune needs --from FILE: a checkpoint, a run folder, or published weights as safetensors or .pth")
	default:
		c, o.Init, err = train.Tuned(from, f.sets)
		if err == nil {
			var lines []string
			lines, err = train.TunedIdle(from, f.sets)
			warnEach(cmd, lines)
		}
	}
	if err != nil {
		return err
	}
	own := f.out == ""
	if own {
		if o.Out, err = train.NewOut(c.Name, time.Now()); err != nil {
			return err
		}
		f.out = o.Out
	}
	hide, err := f.show(cmd, c)
	if err != nil {
		return err
	}
	defer hide()
	if err = trainOne(cmd, c, o); err != nil && own {
		os.Remove(f.out) // only where the run left nothing in it
	}
	return err
}
