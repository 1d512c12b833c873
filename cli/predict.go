package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/train"
)

// prediction is an element of what predict --json prints.
type prediction struct {
	Image   string       `json:"image"`
	Module  int          `json:"module"` // whose head answered
	Classes []classScore `json:"classes"`
}

type classScore struct {
	Class       string  `json:"class"`
	Probability float64 `json:"probability"`
}

type predictFlags struct {
	confidence float64
	top        int
	asJSON     bool
	sets       []string
}

func newPredict() *cobra.Command {
	var f predictFlags
	cmd := &cobra.Command{
		Use:   "predict RUN|CHECKPOINT IMAGE...",
		Short: "Classify images",
		Long: `Classify images in JPEG, PNG, GIF or WebP files: the centre that evaluation takes, resized to the network's input.

The last head answers or, with --confidence, the first one that is sure enough: the modules behind it are not run.`,
		Example: `  locus predict runs/mine cat.jpg dog.png
  locus predict runs/mine *.png --confidence 0.9 --json`,
		Args: takes(2, unlimited),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !(f.confidence >= 0 && f.confidence <= 1) { // NaN too
				return fault.New("--confidence is %g: must be between 0 and 1", f.confidence)
			}
			if f.top < 1 {
				return fault.New("--top is %d: must be at least 1", f.top)
			}
			t, err := train.Open(args[0], f.sets...)
			if err != nil {
				return err
			}
			defer t.Free()
			return f.predict(cmd, t, args[1:])
		},
	}
	cmd.Flags().Float64Var(&f.confidence, "confidence", 0, "the first head whose best class has probability `P` answers; 0: the last head")
	cmd.Flags().IntVar(&f.top, "top", 3, "print the `N` most probable classes")
	addDevice(cmd, &f.sets)
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	return cmd
}

// predict does all images that it can and names the others.
func (f predictFlags) predict(cmd *cobra.Command, t *train.Trained, images []string) error {
	results := []prediction{}
	bad := false
	for _, image := range images {
		if err := cmd.Context().Err(); err != nil {
			return err
		}
		p, err := t.Predict(image, f.confidence)
		if fault.Is(err) {
			report(cmd.ErrOrStderr(), err)
			bad = true
			continue
		}
		if err != nil {
			return err
		}
		r := prediction{Image: image, Module: p.Module}
		for _, c := range p.Classes[:min(f.top, len(p.Classes))] {
			r.Classes = append(r.Classes, classScore(c))
		}
		results = append(results, r)
	}
	if err := f.print(cmd, results); err != nil {
		return err
	}
	if bad {
		return errReported
	}
	return nil
}

func (f predictFlags) print(cmd *cobra.Command, results []prediction) error {
	if f.asJSON {
		return printJSON(cmd.OutOrStdout(), results)
	}
	var rows []string
	for _, r := range results {
		row := []string{show.Name(r.Image)}
		for _, c := range r.Classes {
			row = append(row, fmt.Sprintf("%s %.1f %%", show.Name(c.Class), 100*c.Probability))
		}
		rows = append(rows, strings.Join(append(row, fmt.Sprintf("module %d", r.Module)), "\t"))
	}
	return printColumns(cmd.OutOrStdout(), rows)
}
