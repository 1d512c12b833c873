package cli

import (
	"github.com/spf13/cobra"

	reporting "github.com/locus-learn/locus/report"
	"github.com/locus-learn/locus/train"
)

// worstMistakes is how many of them a report shows.
const worstMistakes = 24

// examine evaluates a network and writes the report of what its heads answer. The folder is tried first: an evaluation
// may take long.
func examine(cmd *cobra.Command, t *train.Trained, on train.Split, data, dir string) (train.Evaluation, error) {
	if err := reporting.Writable(dir); err != nil {
		return train.Evaluation{}, err
	}
	got, err := t.Examine(cmd.Context(), on, data, worstMistakes, warn(cmd))
	if err != nil {
		return train.Evaluation{}, err
	}
	if got.Ranked != nil {
		return got.Evaluation, ranked(t, on, got).Write(dir, reporting.Column)
	}
	e := reporting.Examination{
		Checkpoint: t.Path, Set: got.Set, Part: string(on), Subset: got.Subset, Classes: t.Classes, Labels: got.Labels,
	}
	for i, m := range t.Modules() {
		a := got.Heads[i]
		h := reporting.Head{
			Module: m.Index, Blocks: span(m.Blocks), Body: got.Work[i].Body, Asked: got.Work[i].Head, Top1: a.Top1, Top5: a.Top5, Loss: a.Loss,
		}
		for _, s := range got.Said[i] {
			h.Said = append(h.Said, reporting.Said(s))
		}
		e.Heads = append(e.Heads, h)
	}
	s := got.Samples
	for _, m := range got.Worst {
		e.Mistakes = append(e.Mistakes, reporting.Mistake{Sample: m.Sample, Title: m.Title, H: s.H, W: s.W, C: s.C, Pixels: m.Pixels})
	}
	return got.Evaluation, e.Write(dir, reporting.Column)
}

// ranked is the report of a network whose images may have any number of classes.
func ranked(t *train.Trained, on train.Split, got train.Examination) reporting.Ranking {
	e := reporting.Ranking{Checkpoint: t.Path, Set: got.Set, Part: string(on), Subset: got.Subset, Classes: t.Classes, Has: got.Ranked.Has}
	for i, m := range t.Modules() {
		e.Heads = append(e.Heads, reporting.RankedHead{
			Module: m.Index, Blocks: span(m.Blocks), Body: got.Work[i].Body, Asked: got.Work[i].Head, Loss: got.Heads[i].Loss, Logits: got.Ranked.Answers[i],
		})
	}
	s := got.Samples
	for _, m := range got.Worst {
		e.Mistakes = append(e.Mistakes, reporting.RankedMistake{Sample: m.Sample, Class: m.Class, Title: m.Title, H: s.H, W: s.W, C: s.C, Pixels: m.Pixels})
	}
	return e
}
