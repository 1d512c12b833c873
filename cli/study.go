package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/study"
	"github.com/locus-learn/locus/train"
)

// studyFlags are what a command line says about a study.
type studyFlags struct {
	o                  study.Options
	out, data, results string
	jobs               int
	devices, arms      []string
	shard              string
	dry, retry, report bool
	mlflow             string
}

func newStudy() *cobra.Command {
	var f studyFlags
	cmd := &cobra.Command{
		Use:   "study FILE|NAME",
		Short: "Train arms with several seeds each, and say what follows",
		Long: `Train the arms of a study, recipes with overrides, with several seeds each. Write a report of means, spreads and
differences to the baseline paired by seed: study.md, study.csv and study.svg in the study's folder.

Every arm with a seed is an ordinary run in a folder of its own, ARM/seed-N. The command may be killed at any time;
given again it goes on. What is finished is not run again. A run that fails is a result, and does not stop the others;
--retry runs it again. A finished run that train has put there is taken over. --shard 2/8 trains the second eighth, on
a machine of its own with an --out of its own; 'study merge' puts the folders together.

A study is a YAML file, or one of 'locus list studies'. Its keys:

  about     what is asked, in a line
  arms      a list; each has a name, a recipe, set: [key=value, key=a,b,c for a grid], and paper: the published percent
  set       overrides of all arms
  seeds     a number of them, or a list
  baseline  the arm that the others are compared with; the first one unless set
  metric    last (the last head), best (the best head), ema, probe, or validation (by data.validation)
  budget    hours of training, after which no further run is begun
  scales    what changes at short, medium and full: about, seeds and set. An arm's recipe may be a map of scales, too`,
		Example: `  locus study small --dry-run
  locus study table6 --scale short --seeds 1 --jobs 2
  locus study mine.yaml --device cuda:0,cuda:1 --jobs 2
  locus study mine.yaml --shard $SLURM_ARRAY_TASK_ID/8 --out runs/mine-$SLURM_ARRAY_TASK_ID
  locus study merge mine.yaml runs/mine-* --out runs/mine`,
		Args:              takes(1, 1),
		ValidArgsFunction: completeStudies,
		RunE: func(cmd *cobra.Command, args []string) error {
			runner, err := f.runner(cmd, args[0])
			if err != nil {
				return err
			}
			if !f.report {
				lines, err := runner.Study.Idle()
				if err != nil {
					return err
				}
				warnEach(cmd, lines)
			}
			if f.dry {
				return dryRun(cmd, runner)
			}
			return f.run(cmd, runner)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.out, "out", "", "`folder` of the study (default runs/study-NAME[-SCALE])")
	flags.StringVar(&f.o.Scale, "scale", "", "`scale` of an embedded study: short (minutes a run), medium (an hour) or full (the paper's) (default short)")
	flags.IntVar(&f.o.Seeds, "seeds", 0, "`N` seeds, 1 to N, in place of the study's")
	flags.IntVar(&f.jobs, "jobs", 1, "`N` runs at a time; threads are shared out")
	flags.StringSliceVar(&f.devices, "device", nil, "`devices` shared out among the jobs, such as cuda:0,cuda:1 (default the recipes')")
	flags.StringSliceVar(&f.arms, "arms", nil, "only these `arms` and the baseline")
	flags.StringVar(&f.shard, "shard", "", "only the `i/n`-th part of the runs, i from 1 to n")
	flags.BoolVar(&f.dry, "dry-run", false, "measure a few steps of every arm, print what the study costs, and train nothing")
	flags.BoolVar(&f.retry, "retry", false, "run again what has failed")
	flags.BoolVar(&f.report, "report", false, "write the report of what is done, and train nothing")
	flags.StringVar(&f.mlflow, "mlflow", "", "`URL` of an MLflow server that runs are sent to once they are done")
	flags.BoolVar(&f.o.Many, "yes", false, fmt.Sprintf("more than %d runs are meant", study.MostCells))
	flags.StringVar(&f.results, "results", "", "`FILE` of rows to put those of this study into, as study.csv has them; older ones of its arms go")
	addData(cmd, &f.data)
	must(cmd.MarkFlagDirname("out"))
	completeDevices(cmd)
	cmd.AddCommand(newStudyMerge())
	return cmd
}

func completeStudies(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var found []cobra.Completion
	for _, e := range study.Names() {
		found = append(found, cobra.CompletionWithDesc(e.Name, e.About))
	}
	return found, cobra.ShellCompDirectiveDefault // a file is a study too
}

// runner checks the flags and resolves the study.
func (f *studyFlags) runner(cmd *cobra.Command, name string) (*study.Runner, error) {
	switch {
	case cmd.Flags().Changed("seeds") && f.o.Seeds < 1:
		return nil, fault.New("--seeds is %d: must be at least 1", f.o.Seeds)
	case f.jobs < 1 || f.jobs > 1024:
		return nil, fault.New("--jobs is %d: must be from 1 to 1024", f.jobs)
	}
	if f.results != "" {
		if err := free(f.results, true); err != nil {
			return nil, err
		}
	}
	s, err := study.Open(name, f.o)
	if err != nil {
		return nil, err
	}
	if len(f.arms) > 0 {
		if err := s.Only(f.arms); err != nil {
			return nil, err
		}
	}
	r := &study.Runner{Study: s, Out: f.out, Data: f.data, Jobs: f.jobs, Devices: f.devices, Retry: f.retry, Report: f.report, Save: saveAsked(cmd.Context())}
	if r.Out == "" {
		r.Out = outOf(s)
	}
	if f.shard != "" {
		i, n, err := parseShard(f.shard)
		if err != nil {
			return nil, err
		}
		r.Share = study.Shard(s.Cells(), i, n)
		if len(r.Share) == 0 {
			return nil, fault.New("--shard is %s: has no runs, as the study has %d", f.shard, len(s.Cells()))
		}
	}
	program, err := os.Executable()
	r.Program = []string{program}
	return r, err
}

// outOf is where a study lies unless --out says so. It has no time in its name: the same command goes on with it.
func outOf(s *study.Study) string {
	name := "study-" + s.Name
	if s.Scale != "" {
		name += "-" + s.Scale
	}
	return filepath.Join("runs", name)
}

func parseShard(text string) (i, n int, err error) {
	part, whole, ok := strings.Cut(text, "/")
	i, err1 := strconv.Atoi(part)
	n, err2 := strconv.Atoi(whole)
	if !ok || err1 != nil || err2 != nil || i < 1 || n < i {
		return 0, 0, fault.New("--shard is %q: must be i/n with i from 1 to n, such as 2/8", text)
	}
	return i, n, nil
}

// run trains what is left and prints the report.
func (f *studyFlags) run(cmd *cobra.Command, r *study.Runner) error {
	outliveReaders()
	var server *study.MLflow
	if f.mlflow != "" {
		var err error
		if server, err = study.NewMLflow(f.mlflow); err != nil {
			return err
		}
	}
	live := newStudyProgress(cmd.ErrOrStderr(), r)
	r.Watch = live
	stop := live.draw(cmd.Context())
	rep, err := r.Run(cmd.Context())
	stop()
	if rep != nil {
		if printing := printStudy(cmd, rep, r.Out); err == nil {
			err = printing
		}
	}
	if rep != nil && server != nil {
		if sending := server.Send(cmd.Context(), r.Study, r.Out); sending != nil {
			warn(cmd)(fmt.Sprintf("%v; the same command sends what is missing", sending))
		}
	}
	if errors.Is(err, train.ErrInterrupted) {
		return fmt.Errorf("%w: the same command goes on with %s", errInterrupted, shellWord(r.Out))
	}
	if err == nil && f.results != "" {
		err = rep.AddTo(f.results)
	}
	return err
}

func newStudyMerge() *cobra.Command {
	var o study.Options
	var out string
	cmd := &cobra.Command{
		Use:   "merge FILE|NAME FOLDER...",
		Short: "Put the folders of a study's shards together",
		Long: `Copy the finished runs of a study from the folders of its shards into --out, and write the report there. It may be
given again as more runs get finished.`,
		Example: "  locus study merge mine.yaml runs/mine-1 runs/mine-2 --out runs/mine",
		Args:    takes(2, unlimited),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return fault.New("--out is empty: must be the folder to merge into")
			}
			s, err := study.Open(args[0], o)
			if err != nil {
				return err
			}
			rep, err := study.Merge(s, out, args[1:])
			if err != nil {
				return err
			}
			return printStudy(cmd, rep, out)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "`folder` to merge into")
	cmd.Flags().StringVar(&o.Scale, "scale", "", "`scale` of the study")
	cmd.Flags().IntVar(&o.Seeds, "seeds", 0, "`N` seeds, in place of the study's")
	cmd.Flags().BoolVar(&o.Many, "yes", false, fmt.Sprintf("more than %d runs are meant", study.MostCells))
	must(cmd.MarkFlagDirname("out"))
	return cmd
}
