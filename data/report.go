package data

import (
	"context"
	"errors"
	"io"

	"github.com/locus-learn/locus/internal/fault"
)

// Status is the verdict of [Check] on a set.
type Status string

// The verdicts.
const (
	Complete Status = "complete" // as many samples as the official set has, or as there are
	Subset   Status = "subset"   // whole, but fewer samples
	Broken   Status = "broken"   // a file is missing, truncated or wrong
)

// Report is what [Check] found.
type Report struct {
	Name, Dir   string
	Status      Status
	Classes     []string
	Files       []File
	Train, Test PartReport
	MultiLabel  bool     // an image has any number of classes
	Problem     error    // with the file of class names; nil if there is none
	Notes       []string // lines for the user, such as which files were passed over
	Unreadable  []string // images in files that cannot be decoded, each with the reason, in the order of the set
}

// File is one file of a set on disk.
type File struct {
	Name  string
	Path  string // "" if the file is missing
	Bytes int64  // on disk, so compressed for a .gz
}

// PartReport is the training or the test half of a set.
type PartReport struct {
	Official int   // samples that the official set has, or that are there
	Images   int   // samples found, 0 if the part is broken
	PerClass []int // samples of each class found, by label
	Without  int   // samples found that have no class, where that is allowed
	Problem  error // what is broken, a fault; nil if nothing is
}

// Check reads all of a set, looked for as by [Open], and says whether it is whole. A broken set is reported, not an error; an
// unknown or missing set is a fault. When ctx ends, the error is its own.
func Check(ctx context.Context, name string, dirs []string) (Report, error) {
	e, err := Lookup(name)
	if err != nil {
		return Report{}, err
	}
	if e.Home != nil && e.Home.Check != nil {
		return e.Home.Check(ctx, dirs)
	}
	s, err := e.Open(Options{Set: name, Batch: 1, Workers: 1}, dirs)
	if err != nil {
		return Report{}, err
	}
	r := Report{Name: name, Dir: s.Info().Dir, Classes: s.Info().Classes, MultiLabel: s.Info().MultiLabel, Status: Complete}
	if r.Train, err = checkPart(ctx, s, Train); err == nil {
		r.Test, err = checkPart(ctx, s, Test)
	}
	if r.Train.Problem != nil || r.Test.Problem != nil {
		r.Status = Broken
	}
	return r, err
}

// checkPart reads all samples of a part.
func checkPart(ctx context.Context, s Source, part Part) (PartReport, error) {
	samples, classes := s.Part(part), len(s.Info().Classes)
	r := PartReport{Official: samples.Len(), PerClass: make([]int, classes)}
	batches := samples.Batches(BatchOptions{Batch: 128, KeepLast: true})
	defer batches.Close()
	for {
		b, err := batches.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return r, nil
		case ctx.Err() != nil:
			return r, ctx.Err()
		case err != nil:
			r.Problem = err
			return r, nil
		}
		if err := b.Check(s.Info().form()); err != nil {
			r.Problem = fault.New("%s batch %d %w", part.Word(), b.Index, err)
			return r, nil
		}
		for i := range len(b.Has) / max(1, classes) {
			r.count(b.Has[i*classes : (i+1)*classes])
		}
		for _, label := range b.Labels {
			r.Images++
			r.PerClass[label]++
		}
	}
}

// count adds a sample that has some of the classes.
func (r *PartReport) count(has []byte) {
	r.Images++
	none := true
	for class, v := range has {
		if v != 0 {
			r.PerClass[class]++
			none = false
		}
	}
	if none {
		r.Without++
	}
}
