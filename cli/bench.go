package cli

import (
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/locus-learn/locus/bench"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/train"
)

// benchFlags override keys of a recipe; --set comes last.
type benchFlags struct {
	model, precision               string
	modules, batch, image, threads int
	sets                           []string
	o                              bench.Options
	asJSON                         bool
	against, plot                  string // files
}

// measured is the recipe that bench and plan lay their flags over.
const measured = "fashion-sgr"

// benchClasses are the classes of random images.
const benchClasses = 10

func newBench() *cobra.Command {
	f := benchFlags{}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure time and memory of training steps",
		Long: `Measure training steps on random images: the time of a step, and the memory that tensors take, exactly. The methods
take turns step by step, so that a drift of the machine's speed meets all alike.

With --against, rows are compared with those of an earlier --json: a median slower by more than the spread of both
runs, or a peak of memory larger by a byte, is a regression, and the exit code 1.`,
		Example: `  locus bench
  locus bench --model resnet32 --methods bp,sgr --modules 16 --batch 256 --json >before.json
  locus bench --model resnet32 --methods bp,sgr --modules 16 --batch 256 --against before.json --plot bench.svg`,
		Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := f.config()
			if err == nil {
				err = drawable(f.plot)
			}
			if err != nil {
				return err
			}
			var earlier []bench.Result
			if f.against != "" {
				if earlier, err = bench.Read(f.against); err != nil {
					return err
				}
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s, batch %d of %d×%d: %d steps of %s, after %d to warm up\n", c.Model.Name, c.Data.Batch,
				c.Model.Image, c.Model.Image, f.o.Steps, strings.Join(f.o.Methods, ", "), f.o.Warmup)
			f.o.Progress = turns(cmd.ErrOrStderr())
			results, stopped := bench.Run(cmd.Context(), specOf(c, c.Model.Image, benchClasses), f.o)
			if len(results) > 0 { // also those of a bench that was interrupted
				if err := f.print(cmd, results); err != nil {
					return err
				}
			}
			if stopped != nil {
				return stopped
			}
			if f.plot != "" {
				if err := bench.Plot(f.plot, results); err != nil {
					return err
				}
			}
			if f.against != "" {
				return f.compare(cmd, results, earlier)
			}
			return nil
		},
	}
	f.add(cmd)
	return cmd
}

func (f *benchFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.model, "model", "resnet32", "`model` to train (model.name)")
	flags.StringSliceVar(&f.o.Methods, "methods", []string{"bp", "layerwise", "sgr"}, "`methods` to measure")
	flags.IntVar(&f.modules, "modules", 3, "number `K` of modules (method.modules)")
	flags.IntVar(&f.batch, "batch", 128, "`N` images in a batch (data.batch)")
	flags.IntVar(&f.image, "image", 32, "side `S` of the images in pixels (model.image)")
	flags.StringVar(&f.precision, "precision", "fp32", "`type` of activations: fp32, tf32 (on a card) or bf16")
	flags.IntVar(&f.threads, "threads", 0, "`T` threads; 0: all cores")
	flags.IntVar(&f.o.Steps, "steps", 10, "`N` steps of each method that count")
	flags.IntVar(&f.o.Warmup, "warmup", 2, "`N` steps of each method before them")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON")
	flags.StringVar(&f.against, "against", "", "`FILE` that an earlier --json has written: compare with it")
	flags.StringVar(&f.plot, "plot", "", "`FILE` to draw the rows into, as SVG")
	addSet(cmd, &f.sets)
	completeValues(cmd, "precision", "fp32", "tf32", "bf16")
	must(cmd.RegisterFlagCompletionFunc("model", completeModels))
	must(cmd.RegisterFlagCompletionFunc("methods", completeMethods))
}

// config checks the flags and lays them over the recipe measured.
func (f *benchFlags) config() (train.Config, error) {
	for _, n := range []struct {
		flag       string
		value, min int
	}{
		{"modules", f.modules, 1}, {"batch", f.batch, 1}, {"image", f.image, 1}, {"threads", f.threads, 0},
		{"steps", f.o.Steps, 1}, {"warmup", f.o.Warmup, 0},
	} {
		if n.value < n.min {
			return train.Config{}, fault.New("--%s is %d: must be at least %d", n.flag, n.value, n.min)
		}
	}
	if len(f.o.Methods) == 0 {
		return train.Config{}, fault.New("--methods is empty: must name at least one, 'locus list methods' shows them")
	}
	c, err := train.Load(measured, append([]string{
		"model.name=" + f.model, "precision=" + f.precision, fmt.Sprint("method.modules=", f.modules),
		fmt.Sprint("data.batch=", f.batch), fmt.Sprint("model.image=", f.image), fmt.Sprint("threads=", f.threads),
	}, f.sets...))
	if err != nil {
		return c, err
	}
	f.o.Batch, f.o.LR = c.Data.Batch, c.Optim.LR
	for _, name := range f.o.Methods {
		m := c.Method
		m.Name = name
		if _, _, err := method.Lookup(m); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (f *benchFlags) print(cmd *cobra.Command, results []bench.Result) error {
	rss := mebibytes(results[len(results)-1].PeakRSS)
	if f.asJSON {
		fmt.Fprintf(cmd.ErrOrStderr(), "peak resident memory of the process: %s MiB\n", rss)
		return printJSON(cmd.OutOrStdout(), results)
	}
	var rows []table.Row
	for _, r := range results {
		rows = append(rows, table.Row{
			r.Method, r.Modules, fmt.Sprintf("%.4f", r.StepSeconds), fmt.Sprintf("%.4f to %.4f", r.StepSecondsMin, r.StepSecondsMax),
			fmt.Sprintf("%.0f", r.ImagesPerSecond), mebibytes(r.PeakBytes), mebibytes(r.RestingBytes), mebibytes(r.ActivationBytes),
		})
	}
	w := cmd.OutOrStdout()
	header := table.Row{"method", "modules", "s/step", "range", "images/s", "peak, MiB", "resting, MiB", "activations, MiB"}
	if err := printTable(w, header, rows, 2); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s, %d threads; peak resident memory of the process: %s MiB\n", results[0].Precision, results[0].Threads, rss)
	return err
}

// compare tells how the results differ from earlier ones, beside the JSON where that is asked for.
func (f *benchFlags) compare(cmd *cobra.Command, results, earlier []bench.Result) error {
	changes, err := bench.Against(results, earlier)
	if err != nil {
		return err
	}
	w := cmd.OutOrStdout()
	if f.asJSON {
		w = cmd.ErrOrStderr()
	}
	for _, c := range changes {
		fmt.Fprintln(w, c)
	}
	if bench.Regressed(changes) {
		return fmt.Errorf("this is a regression against %s", f.against)
	}
	return nil
}
