// Command text trains a transformer on text: it tells from one line in which language it is written, in Go, C++, Python, shell,
// YAML or Markdown. The lines are those of this project, so that nothing has to be fetched. Back-propagation, local learning
// and SGR train the same network, and a table shows what each brings.
//
//	cd examples && go run ./text
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/record"
	"github.com/locus-learn/locus/train"
)

var (
	from   = flag.String("from", "..", "folder of the files whose lines are learned")
	out    = flag.String("out", "runs/text", "folder of the runs")
	epochs = flag.Int("epochs", 3, "how often the lines are seen")
)

func main() {
	flag.Parse()
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "text:", err)
		os.Exit(1)
	}
}

// ways are the methods that are compared: the number of modules, and the term that makes them agree.
var ways = []struct {
	name    string
	modules int
	term    local.Term
}{
	{"bp", 1, local.None{}},
	{"layerwise", blocks, local.None{}},
	{"sgr", blocks, &local.Reconcile{Lambda: 0.1, Normalize: true, Reduction: local.Batch}},
}

func run(ctx context.Context, w io.Writer) error {
	lines, err := open(*from)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%d lines to learn, %d to be tested on\n", lines.Part(data.Train).Len(), lines.Part(data.Test).Len())
	fmt.Fprintln(w, "method     heads, %                 last, %  peak, MiB  s/step")
	for _, way := range ways {
		s, err := try(ctx, lines, way.name, way.modules, way.term)
		if err != nil {
			return fmt.Errorf("%s: %w", way.name, err)
		}
		heads := fmt.Sprintf("%.1f", s.ModuleAcc)
		fmt.Fprintf(w, "%-10s %-24s %7.1f %10.1f %7.3f\n", way.name, heads, s.TestAcc, float64(s.PeakBytes)/(1<<20), s.SecondsPerStep)
	}
	return nil
}

// try trains by one method, in the loop that Locus has ready.
func try(ctx context.Context, lines data.Source, name string, modules int, term local.Term) (s record.Summary, err error) {
	m, err := build(len(lines.Info().Classes), modules, term)
	if err != nil {
		return s, err
	}
	c := train.Defaults()
	c.Name, c.Data.Batch, c.Schedule.Epochs, c.Schedule.Warmup, c.Optim.LR = name, 64, *epochs, 0.5, 2e-3
	r, err := train.New(m, lines, c, train.Options{Out: filepath.Join(*out, name), Force: true, Steps: -1}) // takes the model over
	if err != nil {
		return s, err
	}
	s, err = r.Train(ctx)
	return s, errors.Join(err, r.Close())
}
