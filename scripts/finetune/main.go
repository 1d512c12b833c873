// Command finetune compares ways to fine-tune: a network is trained on one half of the classes of a set, or on another set, and
// goes on with the rest. It prints a row of CSV for each way and seed: accuracy on the new classes, what is kept on the old ones,
// memory and time. The defaults take minutes on two cores; docs/fine-tuning.md has the same study at 224².
//
//	go run ./scripts/finetune -set cifar10 -model resnet32 -depth 8 -seeds 3 -out /tmp/finetune
//	go run ./scripts/finetune -dry ... # what it would take
//
// Accuracies are of the last head, in percent. Kept is that of the old classifier on the body as it is after fine-tuning. Time is
// processor time of a step, which others on a busy machine lengthen only where processors share a core.
//
// It may be killed at any time: the same command goes on, and does nothing again that is done. Rows are kept in -out, which holds
// one study; its weights go once their row is there. At the end summary.csv has means and standard deviations over the seeds.
// Rows of another machine count as done where -done names a file of them: results/fine-tuning-rows.csv is one. That they come
// from the same flags is for whoever names it to know.
package main

import (
	"context"
	"encoding/csv"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/locus-learn/locus/data"
	_ "github.com/locus-learn/locus/data/images"
	"github.com/locus-learn/locus/train"
)

var (
	set       = flag.String("set", "cifar10", "data set of images")
	dir       = flag.String("data", os.Getenv("LOCUS_DATA"), "folder to look for it in")
	old       = flag.String("old", "", "set in memory to train on first, scaled to the size of -set; empty for half of the classes of -set")
	size      = flag.Int("size", 0, "side of the images of a folder in pixels; 0 for the set's own")
	network   = flag.String("model", "resnet32", "the network")
	depth     = flag.Int("depth", 8, "its depth; 0 for its own")
	width     = flag.Int("width", 0, "its width; 0 for its own")
	head      = flag.String("head", "linear", "local head")
	precision = flag.String("precision", "fp32", "of activations: fp32 or bf16")
	batch     = flag.Int("batch", 32, "images in a batch of fine-tuning")
	shared    = flag.Bool("shared", false, "train before once for all seeds, which then differ in new heads, order and crops")
	before    = flag.Int("before", 10000, "images of old classes to train on first; 0 for all")
	epochs    = flag.Int("before-epochs", 4, "how often these are seen")
	small     = flag.Int("before-size", 0, "side of the images in these epochs; 0 for the side of fine-tuning")
	large     = flag.Int("before-large", 0, "with -before-size: steps at the side of fine-tuning behind these epochs")
	firstRate = flag.Float64("before-lr", 0.1, "rate of training before; a tenth of it in the steps behind")
	firstOpt  = flag.String("before-optim", "sgd", "optimizer of training before")
	limit     = flag.Int("limit", 1000, "images of new classes to fine-tune on; 0 for all")
	tuning    = flag.Int("epochs", 9, "how often these are seen: a multiple of the modules suits block rotation")
	tested    = flag.Int("test", 0, "images of each half to test on; 0 for all")
	modules   = flag.Int("modules", 3, "modules of local learning")
	rate      = flag.Float64("lr", 0.01, "rate of fine-tuning")
	optimizer = flag.String("optim", "sgd", "optimizer of fine-tuning")
	begin     = flag.String("head-init", "fresh", "how new heads begin, where the way does not say")
	first     = flag.Int("first", 1, "the first seed")
	seeds     = flag.Int("seeds", 3, "number of seeds")
	only      = flag.String("only", "", "names of ways, separated by semicolons; empty for all")
	elsewhere = flag.String("done", "", "CSV file of rows that are done already, of any model, by the columns model, way and seed")
	out       = flag.String("out", filepath.Join(os.TempDir(), "finetune"), "folder of the runs")
	threads   = flag.Int("threads", 1, "threads of an operation")
	timed     = flag.Int("timed", 8, "steps of which the time is taken, behind two others")
	sum       = flag.Bool("sum", false, "sum up the rows that are done, and train nothing")
	dry       = flag.Bool("dry", false, "take the time of some steps, print the processor hours of everything, and train nothing")
)

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := study(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "finetune:", err)
		os.Exit(1)
	}
}

// study tries every way for every seed. A row is printed as soon as it is there.
func study(ctx context.Context) error {
	if *dry {
		return forecast(ctx)
	}
	if err := sameStudy(); err != nil {
		return err
	}
	landed, err := readRows(*elsewhere)
	if err != nil {
		return err
	}
	if *sum {
		return sumUp(landed)
	}
	w := csv.NewWriter(os.Stdout)
	_ = w.Write(columns)
	var rows []row
	for i := range *seeds {
		s, err := newSituation(ctx, *first+i)
		if err != nil {
			return err
		}
		s.landed = landed
		for _, a := range chosen() {
			r, err := s.row(ctx, a)
			if err != nil {
				return fmt.Errorf("%s: %w", a.name, err)
			}
			rows = append(rows, r)
			_ = w.Write(r.cells())
			w.Flush()
		}
	}
	if err := w.Error(); err != nil {
		return err
	}
	return summarise(rows)
}

// sumUp sums up what is done.
func sumUp(landed []row) error {
	var rows []row
	for i := range *seeds {
		s := situation{seed: *first + i, out: folderOfSeed(*first + i), landed: landed}
		for _, a := range chosen() {
			r, found, err := s.done(a)
			if err != nil {
				return err
			}
			if found {
				rows = append(rows, r)
			}
		}
	}
	return summarise(rows)
}

func folderOfSeed(seed int) string { return filepath.Join(*out, strconv.Itoa(seed)) }

// chosen are the ways that -only names, or all.
func chosen() []way {
	if *only == "" {
		return ways()
	}
	names := strings.Split(*only, ";")
	return slices.DeleteFunc(ways(), func(a way) bool { return !slices.Contains(names, a.name) })
}

// newSituation opens the data for a seed. The images are the same ones for all seeds.
func newSituation(ctx context.Context, seed int) (*situation, error) {
	c, err := base(uint64(seed))
	if err != nil {
		return nil, err
	}
	s := &situation{config: c, seed: seed, out: folderOfSeed(seed)}
	s.before = s.out
	if *shared {
		s.before = *out
	}
	whole, err := data.Open(c.Data, 1, folders())
	if err != nil {
		return nil, err
	}
	classes := len(whole.Info().Classes)
	if *old == "" {
		if s.old, err = half(ctx, whole, 0, classes/2, *before, *tested); err != nil {
			return nil, err
		}
		s.fresh, err = half(ctx, whole, classes/2, classes, *limit, *tested)
		return s, err
	}
	o := c.Data
	o.Set, o.Size, o.Augment, o.Mean, o.Std = *old, 0, "crop-flip", nil, nil
	earlier, err := data.Open(o, 1, folders())
	if err != nil {
		return nil, err
	}
	side := whole.Info().Shape.H
	if s.old, err = half(ctx, sized(earlier, side), 0, len(earlier.Info().Classes), *before, *tested); err != nil {
		return nil, err
	}
	s.fresh, err = half(ctx, whole, 0, classes, *limit, *tested)
	return s, err
}

func folders() []string {
	if *dir == "" {
		return nil
	}
	return []string{*dir}
}

// base is the recipe of all runs of a seed.
func base(seed uint64) (train.Config, error) {
	augment := "crop-flip"
	if *set == "folder" || *set == "tar" {
		augment = "resized-crop"
	}
	return train.Load("finetune", []string{
		fmt.Sprint("seed=", seed), "data.set=" + *set, fmt.Sprint("data.size=", *size), "data.validation=0", "data.augment=" + augment,
		fmt.Sprint("data.batch=", *batch), "model.name=" + *network, fmt.Sprint("model.depth=", *depth), fmt.Sprint("model.width=", *width),
		"head.name=" + *head, "method.name=bp", fmt.Sprint("optim.lr=", *rate), "optim.name=" + *optimizer, fmt.Sprint("threads=", *threads),
		fmt.Sprint("schedule.epochs=", *tuning), "eval.every=1000000", "precision=" + *precision, "tune.head_init=" + *begin,
	})
}
