package main

import (
	"context"
	"fmt"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/train"
)

// forecast takes the time of some steps of everything that the study does, and prints the processor hours that all of it takes.
// What is done already counts as if it were not.
func forecast(ctx context.Context) error {
	s, err := newSituation(ctx, *first)
	if err != nil {
		return err
	}
	if err := s.cut(); err != nil {
		return err
	}
	fmt.Printf("%-44s %5s %7s %9s %7s\n", "processor time of", "times", "steps", "s a step", "hours")
	total := 0.0
	line := func(what string, times, steps int, seconds float64) {
		hours := float64(times) * float64(steps) * seconds / 3600
		total += hours
		fmt.Printf("%-44s %5d %7d %9.3f %7.2f\n", what, times, steps, seconds, hours)
	}
	trainings := *seeds
	if *shared {
		trainings = 1
	}
	for _, stage := range s.stages() {
		steps := stage.steps
		if steps < 0 {
			steps = stage.config.Schedule.Epochs * data.Count(stage.source.Part(data.Train).Len(), stage.config.Data.Batch, false)
		}
		seconds, err := stepTime(stage.config, inputOf(stage.source.Info()))
		if err != nil {
			return err
		}
		line(fmt.Sprintf("before, at %d²", stage.source.Info().Shape.H), trainings, steps, seconds)
	}
	looks := 0 // at images, forward only
	perEpoch := data.Count(s.fresh.Part(data.Train).Len(), *batch, false)
	for _, a := range chosen() {
		seconds, evaluations, err := s.wayTime(a)
		if err != nil {
			return err
		}
		line(a.name, *seeds, *tuning*perEpoch+2+*timed, seconds)
		looks += evaluations*s.fresh.Part(data.Test).Len() + s.old.Part(data.Test).Len() + s.fresh.Part(data.Train).Len()
	}
	seconds, err := s.lookTime(ctx)
	if err != nil {
		return err
	}
	line("an image evaluated, or passed to begin heads", *seeds, looks, seconds)
	fmt.Printf("%-44s %31.2f\n", "all", total)
	return nil
}

// wayTime returns the mean time of a way's steps, and how often the new classes are evaluated.
func (s *situation) wayTime(a way) (seconds float64, evaluations int, err error) {
	c := s.config
	a.change(&c, s.parts)
	in := inputOf(s.fresh.Info())
	if !a.turns {
		seconds, err = stepTime(c, in)
		return seconds, 1, err
	}
	for k := range s.parts {
		one, err := stepTime(s.turned(c, k), in)
		if err != nil {
			return 0, 0, err
		}
		seconds += one / float64(len(s.parts))
	}
	return seconds, *tuning, nil
}

// lookTime returns the time of an image's way forward.
func (s *situation) lookTime(ctx context.Context) (seconds float64, err error) {
	c := s.config
	c.Tune.HeadInit = ""
	m, err := train.NewModel(c, inputOf(s.old.Info()), true)
	if err != nil {
		return 0, err
	}
	defer m.Free()
	some := data.Limit(s.old.Part(data.Test), 4**batch)
	began := used()
	_, err = train.Evaluate(ctx, m, some, s.old.Info().Mean, s.old.Info().Std)
	return (used() - began).Seconds() / float64(some.Len()), err
}
