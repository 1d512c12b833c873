package cli

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/mesh"
	"github.com/locus-learn/locus/record"
	"github.com/locus-learn/locus/train"
)

func newTrain() *cobra.Command {
	var f runFlags
	var init, profiles string
	var memory byteSize
	var processes int
	cmd := &cobra.Command{
		Use:   "train [RECIPE]",
		Short: "Train a network as a recipe says",
		Long: `Train a network as a recipe says: an embedded one ('locus list recipes'), a YAML file, or the quickstart.

The first Ctrl-C finishes the step, saves and says how to go on; the second ends the program at once. SIGTERM does the
same. SIGUSR1 saves, and the run goes on.`,
		Example: `  locus train
  locus train cifar10-resnet32-sgr-k3 --set schedule.epochs=10 --set optim.lr=0.05
  locus train mine.yaml --data ~/datasets --out runs/mine
  locus train --resume --out runs/mine
  locus train fashion-sgr --nproc 3 --set mesh.modules=3`,
		Args:              recipes(0, 1),
		ValidArgsFunction: completeRecipes,
		RunE: func(cmd *cobra.Command, args []string) (failed error) {
			if err := f.check(cmd); err != nil {
				return err
			}
			if f.resume && init != "" {
				return fault.New("--resume goes on with a run's own weights, --init starts from others: must be one of them")
			}
			place, err := mesh.Find()
			if err != nil {
				return err
			}
			if f.resume && memory > 0 {
				return fault.New("--memory chooses how a run begins: must not go with --resume, which goes on as it was chosen")
			}
			c, err := f.config(args)
			if err != nil && f.resume && place.Rank > 0 { // rank 0 has the run folder, and tells
				c, err = train.Load("", f.sets)
			}
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("nproc") && os.Getenv(mesh.EnvRank) == "" {
				return launch(processes, f.again(cmd), c.Threads, cmd.OutOrStdout(), cmd.ErrOrStderr())
			}
			if place.Rank > 0 {
				return among(cmd, place, c, f.options(cmd), nil)
			}
			if err := alone(place, c); err != nil {
				return err
			}
			if err := f.warnOfIdle(cmd, args); err != nil {
				return err
			}
			own := f.out == ""
			if own {
				if f.out, err = train.NewOut(c.RunName(), time.Now()); err != nil {
					return err
				}
			}
			hide, err := f.show(cmd, c)
			if err != nil {
				return err
			}
			defer hide()
			o := f.options(cmd)
			o.Init, o.Memory = init, int64(memory)
			if profiles != "" {
				p, err := startProfile(profiles)
				if err != nil {
					return err
				}
				o.Sink = p
				defer func() {
					if ending := p.end(cmd.OutOrStdout()); failed == nil {
						failed = ending
					}
				}()
			}
			if place.World > 1 {
				err = among(cmd, place, c, o, trainOne)
			} else {
				err = trainOne(cmd, c, o)
			}
			if err == nil && len(args) == 0 && !f.resume {
				err = printNext(cmd.OutOrStdout(), f.out)
			}
			if err != nil && own {
				os.Remove(f.out) // only where the run left nothing in it
			}
			return err
		},
	}
	f.add(cmd, "runs/MODEL-METHOD-TIME")
	cmd.Flags().IntVar(&processes, "nproc", 1, "train with `N` processes on this machine (mesh.modules, mesh.data)")
	cmd.Flags().Var(&memory, "memory", "`bytes` that the process may take, such as 2GiB: cuts, checkpoints, modules in memory and, if need be, the batch are chosen for it")
	cmd.Flags().StringVar(&profiles, "profile", "", "write a profile of the processor and the time of each module into this `folder`")
	must(cmd.MarkFlagDirname("profile"))
	cmd.Flags().StringVar(&init, "init", "", "start from the weights in `file`: a checkpoint, or published ones as safetensors")
	return cmd
}

// warnOfIdle says of which values in the recipe and its assignments nothing comes. Of a run that goes on it was said before.
func (f *runFlags) warnOfIdle(cmd *cobra.Command, args []string) error {
	if f.resume {
		return nil
	}
	lines, err := train.Idle(strings.Join(args, ""), f.sets)
	warnEach(cmd, lines)
	return err
}

func warnEach(cmd *cobra.Command, lines []string) {
	for _, line := range lines {
		warn(cmd)(line)
	}
}

// config finds the recipe: of the run to resume, with which one given now must agree, or the one given.
func (f *runFlags) config(args []string) (train.Config, error) {
	name := strings.Join(args, "") // one or none
	if !f.resume {
		return train.Load(name, f.sets)
	}
	c, err := train.LoadRun(f.out, f.sets)
	if err != nil || name == "" {
		return c, err
	}
	given, err := train.Load(name, f.sets)
	if err != nil {
		return c, err
	}
	return c, train.Agree(c, given)
}

func trainOne(cmd *cobra.Command, c train.Config, o train.Options) error {
	if o.Sink == nil {
		o.Sink = record.Tee()
	}
	o.Sink = record.Tee(o.Sink, progress(cmd))
	outliveReaders()
	r, err := train.FromRecipe(c, o)
	if err != nil {
		return err
	}
	warnOfThreads(c.Threads, o.Notice)
	if r.Streams() {
		keepHeapSmall()
	}
	s, err := r.Train(cmd.Context())
	if closing := r.Close(); err == nil {
		err = closing
	}
	if errors.Is(err, train.ErrInterrupted) {
		return fmt.Errorf("%w: %s train --resume --out %s%s", err, self, shellWord(o.Out), again(o.Data))
	}
	if err != nil {
		return err
	}
	return printSummary(cmd.OutOrStdout(), s, o.Out, c.Diagnose.Every > 0)
}

// again repeats --data, which a run folder does not remember.
func again(data string) string {
	if data == "" {
		return ""
	}
	return " --data " + shellWord(data)
}

func printSummary(w io.Writer, s record.Summary, out string, diagnosed bool) error {
	accuracy := "not measured"
	if !math.IsNaN(s.TestAcc) {
		accuracy = percent(s.TestAcc) + " % on test"
	}
	if len(s.ModuleAcc) > 1 {
		var heads []string
		for _, x := range s.ModuleAcc {
			heads = append(heads, percent(x))
		}
		accuracy += ", heads " + strings.Join(heads, " ")
	}
	if s.Subset {
		accuracy += " (on a subset of the data)"
	}
	rows := []string{s.MeasuredBy() + "\t" + accuracy}
	if s.KNN {
		rows[0] += ", by nearest neighbours"
	}
	if n := len(s.EMAAcc); n > 0 {
		rows = append(rows, fmt.Sprintf("averaged\t%s %% on test", percent(s.EMAAcc[n-1])))
	}
	if n := len(s.ProbeAcc); n > 0 {
		var modules []string
		for _, x := range s.ProbeAcc {
			modules = append(modules, percent(x))
		}
		rows = append(rows, fmt.Sprintf("probe\t%s %% on test, top-5 %s %%, linear, modules %s",
			percent(s.ProbeAcc[n-1]), percent(s.ProbeTop5[n-1]), strings.Join(modules, " ")))
	}
	if s.Steps > 0 {
		rows = append(rows,
			"memory\t"+memoryOf(s),
			fmt.Sprintf("time\t%s for %d steps, %.3g s each", duration(s.Seconds), s.Steps, s.SecondsPerStep))
	}
	if diagnosed && s.Steps > 0 {
		rows = append(rows, "diagnosis\t"+filepath.Join(out, train.DiagnosisFile))
	}
	return printColumns(w, append(rows, "run\t"+out))
}

// memoryOf says what memory a run has needed, in each process where these have a part of the modules each.
func memoryOf(s record.Summary) string {
	if len(s.Ranks) == 0 {
		return fmt.Sprintf("peak %s MiB of tensors, %s MiB of them at rest", mebibytes(s.PeakBytes), mebibytes(s.RestingBytes))
	}
	var peaks, resting []string
	for _, r := range s.Ranks {
		peaks, resting = append(peaks, mebibytes(r.PeakBytes)), append(resting, mebibytes(r.RestingBytes))
	}
	return fmt.Sprintf("peak %s MiB of tensors by rank, %s MiB of them at rest", strings.Join(peaks, ", "), strings.Join(resting, ", "))
}

// printNext says what to do after a first run.
func printNext(w io.Writer, out string) error {
	return printColumns(w, []string{
		"",
		"next\t" + self + " eval " + shellWord(out) + "\taccuracy of every head",
		"\t" + self + " compare --methods bp,layerwise,sgr fashion-sgr --steps 200\tthree methods on a ResNet, side by side",
		"\t" + self + " watch runs\ta page of all runs, while they train",
		"\t" + self + " list recipes\twhat else there is to train",
	})
}
