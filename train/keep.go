package train

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/locus-learn/locus/internal/disk"
)

// CheckpointOptions is the `checkpoint` section of a recipe.
type CheckpointOptions struct {
	Keep int `recipe:"keep" default:"1" min:"1" max:"10000" doc:"checkpoints to keep: the last n and, above 1, the one of the lowest loss in training, from before it began to rise"`
}

// An earlier checkpoint is a pair of files like the last one: step-<N>.safetensors, which names state-<N>.safetensors.
const (
	stepPattern = "step-*.safetensors"
	unsaved     = -1 // in place of a step: there is no checkpoint
)

func stepFile(step int) string { return fmt.Sprintf("step-%d.safetensors", step) }

func stateFile(step int) string { return fmt.Sprintf("state-%d.safetensors", step) }

// lowest remembers the checkpoint in front of which the loss in training was the lowest.
type lowest struct {
	Since mean // losses since the last checkpoint
	Loss  float64
	Step  int // 0 for none
}

// at moves on to a checkpoint at a step.
func (l lowest) at(step int) lowest {
	if loss := l.Since.Sum / float64(l.Since.N); l.Since.N > 0 && (l.Step == 0 || loss <= l.Loss) {
		l.Loss, l.Step = loss, step
	}
	l.Since = mean{}
	return l
}

// keepLast gives the last checkpoint a name of its own before another one takes its place.
func (r *Run) keepLast() error {
	step := r.saves.step
	if r.model.Config.Checkpoint.Keep < 2 || step == unsaved || step == r.at.Step {
		return nil
	}
	name := stepFile(step)
	if r.folder.Has(name) {
		return nil
	}
	if err := r.folder.Claim(name); err != nil {
		return err
	}
	err := disk.Link(r.folder.Path(lastFile), r.folder.Path(name))
	if err != nil && !errors.Is(err, fs.ErrExist) { // a file system without links
		err = r.copyLast(name)
	}
	if err != nil {
		return r.folder.Failed(name, err)
	}
	return nil
}

func (r *Run) copyLast(name string) error {
	last, err := disk.Open(r.folder.Path(lastFile))
	if err != nil {
		return err
	}
	defer last.Close()
	return disk.Replace(r.folder.Path(name), func(w io.Writer) error {
		_, err := io.Copy(w, last)
		return err
	})
}

// prune removes what is not to be kept: earlier checkpoints but for some, and states but for those of what stays.
func (r *Run) prune() error {
	have := r.earlier()
	stays := kept(have, r.model.Config.Checkpoint.Keep, r.at.Lowest.Step)
	states := []string{stateFile(r.at.Step)}
	var goes []string
	for _, step := range have {
		if slices.Contains(stays, step) {
			states = append(states, stateFile(step))
		} else {
			goes = append(goes, stepFile(step))
		}
	}
	for _, name := range r.folder.Files("state-*.safetensors") {
		if !slices.Contains(states, name) {
			goes = append(goes, name)
		}
	}
	return r.folder.Remove(goes...)
}

// earlier lists the steps of the earlier checkpoints that are there, ascending.
func (r *Run) earlier() (steps []int) {
	for _, name := range r.folder.Files(stepPattern) {
		number := strings.TrimSuffix(strings.TrimPrefix(name, "step-"), ".safetensors")
		if step, err := strconv.Atoi(number); err == nil {
			steps = append(steps, step)
		}
	}
	slices.Sort(steps)
	return steps
}

// kept returns which of some earlier checkpoints, ascending, stay beside the last one: with n to be kept the newest n−1, and
// that of the lowest loss; none if only the last one is kept.
func kept(earlier []int, n, lowest int) []int {
	if n < 2 {
		return nil
	}
	first := max(0, len(earlier)-(n-1))
	stays := slices.Clone(earlier[first:])
	if slices.Contains(earlier[:first], lowest) {
		stays = append([]int{lowest}, stays...)
	}
	return stays
}
