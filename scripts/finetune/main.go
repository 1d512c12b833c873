// Command finetune compares ways to fine-tune: a network is trained on one half of the classes of a set and goes on with the
// other half. It prints a row of CSV for each way and seed: accuracy on the new classes, what is kept on the old ones, memory
// and time. The defaults take minutes on two cores; a larger -model, -size and -limit are the same study at another scale:
//
//	go run ./scripts/finetune -set cifar10 -model resnet32 -depth 8 -seeds 3 -out /tmp/finetune
//	go run ./scripts/finetune -set folder -data photos -size 224 -model resnet50 -head linear -batch 8
//
// Accuracies are of the last head, in percent. Kept is that of the old classifier on the body as it is after fine-tuning. Time is
// processor time of a step in one thread, which others on a busy machine do not lengthen. What was trained before on the old
// classes is found in -out and not trained again.
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
	size      = flag.Int("size", 0, "side of the images of a folder in pixels; 0 for the set's own")
	network   = flag.String("model", "resnet32", "the network")
	depth     = flag.Int("depth", 8, "its depth; 0 for its own")
	width     = flag.Int("width", 0, "its width; 0 for its own")
	head      = flag.String("head", "linear", "local head")
	batch     = flag.Int("batch", 32, "images in a batch of fine-tuning")
	before    = flag.Int("before", 10000, "images of old classes to train on first; 0 for all")
	epochs    = flag.Int("before-epochs", 4, "how often these are seen")
	limit     = flag.Int("limit", 1000, "images of new classes to fine-tune on; 0 for all")
	tuning    = flag.Int("epochs", 9, "how often these are seen: a multiple of the modules suits block rotation")
	tested    = flag.Int("test", 0, "images of each half to test on; 0 for all")
	modules   = flag.Int("modules", 3, "modules of local learning")
	rate      = flag.Float64("lr", 0.01, "rate of fine-tuning")
	first     = flag.Int("first", 1, "the first seed")
	seeds     = flag.Int("seeds", 3, "number of seeds")
	only      = flag.String("only", "", "names of ways, separated by semicolons; empty for all")
	out       = flag.String("out", filepath.Join(os.TempDir(), "finetune"), "folder of the runs")
	threads   = flag.Int("threads", 1, "threads of an operation")
	optimizer = flag.String("optim", "sgd", "optimizer of fine-tuning")
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
	w := csv.NewWriter(os.Stdout)
	_ = w.Write([]string{"way", "seed", "accuracy", "kept", "peak_mib", "seconds_per_step", "steps"})
	for i := range *seeds {
		seed := *first + i
		c, err := base(uint64(seed))
		if err != nil {
			return err
		}
		whole, err := data.Open(c.Data, c.Seed, folders())
		if err != nil {
			return err
		}
		classes := len(whole.Info().Classes)
		old, err := half(ctx, whole, 0, classes/2, *before, *tested)
		if err != nil {
			return err
		}
		fresh, err := half(ctx, whole, classes/2, classes, *limit, *tested)
		if err != nil {
			return err
		}
		s := situation{config: c, old: old, fresh: fresh, out: filepath.Join(*out, strconv.Itoa(seed))}
		if err := s.prepare(ctx); err != nil {
			return err
		}
		for _, a := range ways() {
			if *only != "" && !slices.Contains(strings.Split(*only, ";"), a.name) {
				continue
			}
			r, err := s.try(ctx, a)
			if err != nil {
				return fmt.Errorf("%s: %w", a.name, err)
			}
			_ = w.Write([]string{a.name, strconv.Itoa(seed), fmt.Sprintf("%.2f", r.accuracy), fmt.Sprintf("%.2f", r.kept),
				fmt.Sprintf("%.1f", float64(r.peak)/(1<<20)), fmt.Sprintf("%.4f", r.seconds), strconv.Itoa(r.steps)})
			w.Flush()
		}
	}
	return w.Error()
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
		fmt.Sprint("schedule.epochs=", *tuning), "eval.every=1000000",
	})
}
