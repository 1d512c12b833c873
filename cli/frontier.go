package cli

import (
	"cmp"
	"fmt"
	"io"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/locus-learn/locus/bench"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/plan"
	"github.com/locus-learn/locus/record"
	"github.com/locus-learn/locus/torch"
)

// frontier is what the command prints.
type frontier struct {
	Model     string       `json:"model"`
	Head      string       `json:"head"`
	Image     int          `json:"image"`
	Batch     int          `json:"batch"`
	Precision string       `json:"precision"`
	Points    []plan.Point `json:"points"`
}

func newFrontier() *cobra.Command {
	f := planFlags{modules: counts{"all", nil}}
	steps := 0
	cmd := &cobra.Command{
		Use:   "frontier MODEL",
		Short: "Set time against memory: back-propagation, checkpoints, local learning",
		Long: `Predict time and peak memory of a step for every way to train a network: global back-propagation, the same with
gradient checkpoints, local learning with any number of modules, with checkpoints inside them, and with one module in
memory. Ways that no other beats in both are marked, with a word on when to use them; so is local learning that
back-propagation with checkpoints beats.

Times are sums of what the pieces took one by one, without the optimizers, and what comes and goes at 500 MB/s. They
are rough, and only their ratios mean something. With --measure N, whole steps are taken, N of each way after one to
warm up, of which the shortest counts, and the meter's peak. What is learned in a step is not compared: a method is
beaten by its own kind and by bp, and bp by bp alone.`,
		Example: `  locus frontier vit_s --batch 8 --set head.name=tokens --set optim.name=adamw
  locus frontier resnet50 --batch 16 --set head.name=infopro --plot frontier.svg
  locus frontier vit_s --batch 8 --modules 3,6,12 --measure 2 --set head.name=tokens`,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := drawable(f.plot); err != nil {
				return err
			}
			f.model = args[0]
			r, stopped := f.frontier(cmd, steps)
			if r == nil || len(r.Points) == 0 {
				return stopped
			}
			// From here on there are ways to show, all of them or those that were found before an interrupt.
			if f.plot != "" {
				if err := r.draw(f.plot); err != nil {
					return err
				}
			}
			if f.asJSON {
				return cmp.Or(printJSON(cmd.OutOrStdout(), r), stopped)
			}
			return cmp.Or(r.print(cmd.OutOrStdout()), stopped)
		},
		ValidArgsFunction: completeModels,
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.methods, "methods", []string{"layerwise", "sgr"}, "`methods` with local losses to set beside back-propagation")
	flags.Var(&f.modules, "modules", "numbers `K` of modules, such as 3,6,12; all: those that are worth a look")
	flags.IntVar(&steps, "measure", 0, "take `N` whole steps of each way in place of a prediction, but for those with one module in memory; 0: predict")
	flags.IntVar(&f.batch, "batch", 8, "`N` images in a batch (data.batch)")
	flags.IntVar(&f.image, "image", 0, "side `S` of the images in pixels (model.image); 0: what the model was published for")
	flags.StringVar(&f.precision, "precision", "fp32", "`type` of activations: fp32 or bf16")
	flags.IntVar(&f.threads, "threads", 0, "`T` threads; 0: all cores")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON")
	flags.StringVar(&f.plot, "plot", "", "`FILE` to draw time against memory into, as SVG")
	addSet(cmd, &f.sets)
	completeValues(cmd, "precision", "fp32", "bf16")
	must(cmd.RegisterFlagCompletionFunc("methods", completeMethods))
	return cmd
}

func (f *planFlags) frontier(cmd *cobra.Command, steps int) (*frontier, error) {
	if steps < 0 {
		return nil, fault.New("--measure is %d: must be at least 1, or 0 to predict", steps)
	}
	for _, name := range f.methods { // so that a mistake does not wait for the measuring of other methods
		if _, err := f.config(name, 1); err != nil {
			return nil, err
		}
	}
	c, err := f.config("bp", 1)
	if err != nil {
		return nil, err
	}
	defer torch.Pin()()
	r := &frontier{Model: c.Model.Name, Head: c.Head.Name, Image: c.Model.Image, Batch: c.Data.Batch, Precision: c.Precision}
	o := plan.FrontierOptions{Methods: f.methods, Modules: f.modules.numbers, Streams: steps == 0}
	var done func()
	o.Plan, done = measuring(cmd, plan.Options{})
	defer done()
	if steps > 0 {
		o.Found = counting(cmd, "ways measured")
		o.Measure = func(spec model.Spec) (peak int64, seconds float64, err error) {
			rows, err := bench.Run(cmd.Context(), spec, bench.Options{Methods: []string{spec.Method.Name}, Batch: c.Data.Batch, LR: c.Optim.LR, Steps: steps, Warmup: 1})
			if err != nil {
				return 0, 0, err
			}
			return rows[0].PeakBytes, rows[0].StepSecondsMin, nil
		}
	}
	r.Points, err = plan.Frontier(specOf(c, c.Model.Image, c.Model.Classes), c.Data.Batch, o)
	return r, err
}

// when says what a way that nothing beats is for.
func when(p plan.Point) string {
	switch {
	case p.Streaming != nil:
		return "weights and optimizer state do not fit, and a disk is at hand"
	case p.Method == "sgr":
		return "neighbouring modules shall agree, and bp's activations do not fit"
	case p.Method == "bp" && p.Checkpoint == "none":
		return "memory is no question"
	case p.Method == "bp":
		return "bp's gradient is wanted, and its activations do not fit"
	case p.Checkpoint != "none":
		return "local losses will do, and activations are what does not fit"
	}
	return "local losses will do: less memory, and no second forward pass of the whole network"
}

func (r *frontier) print(w io.Writer) error {
	var rows []table.Row
	lost := 0
	for _, p := range r.Points {
		note := ""
		switch {
		case p.Best:
			note = "nothing beats it: use it when " + when(p)
		case p.BeatenBy != "":
			note = "loses to " + p.BeatenBy
		}
		if p.BeatenBy != "" {
			lost++
		}
		moved := ""
		if s := p.Streaming; s != nil {
			moved = mebibytes(s.ReadBytes + s.WrittenBytes)
		}
		rows = append(rows, table.Row{p.Name(), mebibytes(p.PeakBytes), fmt.Sprintf("%.2f", p.Seconds/r.Points[0].Seconds), moved, note})
	}
	if err := printTable(w, table.Row{"way", "peak, MiB", "time ÷ bp", "MiB moved a step", ""}, rows, 2); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s, %s heads, batch %d of %d×%d, %s: %s, %.2f s a step of bp. %d ways of local learning lose to back-propagation in both. What is learned in a step is not compared.\n",
		r.Model, r.Head, r.Batch, r.Image, r.Image, r.Precision, r.how(), r.Points[0].Seconds, lost)
	return err
}

// how says where the figures come from.
func (r *frontier) how() string {
	if r.Points[0].Measured {
		return "measured on whole steps"
	}
	return "predicted from single pieces"
}

// draw plots time against memory, one curve a way, with rings around the points that nothing beats.
func (r *frontier) draw(path string) error {
	chart := record.Curves{
		Title: fmt.Sprintf("%s, batch %d of %d×%d, %s: down and left is better", r.Model, r.Batch, r.Image, r.Image, r.how()),
		X:     "peak of all tensors (MiB)", Y: "step ÷ that of bp",
	}
	for _, p := range r.Points {
		way := p.Method
		if p.Checkpoint != "none" && p.Method != "bp" {
			way += ", checkpoints " + p.Checkpoint
		}
		if p.Streaming != nil {
			way += ", one in memory"
		}
		x, y := float64(p.PeakBytes)/(1<<20), p.Seconds/r.Points[0].Seconds
		chart.Add(way, x, y)
		if p.Best {
			chart.Mark("nothing beats it", x, y)
		}
	}
	return record.PlotCurves(path, chart)
}
