// Package ranking measures answers about samples that may have any number of classes: average precision and F1.
package ranking

import (
	"cmp"
	"math"
	"slices"
)

// Answers are the logits of samples for classes, with the truth, both row by row.
type Answers struct {
	Logits  []float32 // N × Classes
	Has     []byte    // N × Classes, not 0 where a sample has a class
	Classes int
}

// Class is how well a class is told. Values are NaN where they are not defined.
type Class struct {
	Samples, Positives int
	// AP is the average precision Σ_n (R_n − R_{n−1}) P_n over the distinct logits from the highest on, P_n and R_n being precision
	// and recall if all samples with at least that logit are taken to have the class. It is not defined without a positive.
	AP float64
	// Right, False and Missed count true positives, false positives and false negatives at a probability of ½.
	Right, False, Missed int
	// Best is the logit from which on to take samples so that F1 is highest, the highest of several, and BestF1 that F1.
	Best, BestF1 float64
}

// F1 is 2·Right/(2·Right + False + Missed), not defined where nobody has the class or is taken to have it.
func (c Class) F1() float64 { return f1(c.Right, c.False, c.Missed) }

func f1(right, wrong, missed int) float64 {
	return 2 * float64(right) / float64(2*right+wrong+missed) // 0/0 is NaN
}

// Of measures the answers about one class.
func (a Answers) Of(class int) Class {
	type answer struct {
		logit float32
		has   bool
	}
	var all []answer
	c := Class{AP: math.NaN(), Best: math.NaN(), BestF1: math.NaN()}
	for i := class; i < len(a.Logits); i += a.Classes {
		x := answer{a.Logits[i], a.Has[i] != 0}
		if x.logit != x.logit { // NaN, which is below everything
			x.logit = float32(math.Inf(-1))
		}
		all = append(all, x)
		switch said := x.logit >= 0; {
		case said && x.has:
			c.Right++
		case said:
			c.False++
		case x.has:
			c.Missed++
		}
	}
	c.Samples, c.Positives = len(all), c.Right+c.Missed
	if c.Positives == 0 {
		return c
	}
	slices.SortFunc(all, func(x, y answer) int { return cmp.Compare(y.logit, x.logit) })
	c.AP, c.BestF1 = 0, 0
	right, before := 0, 0
	for i, x := range all {
		if x.has {
			right++
		}
		if i+1 < len(all) && all[i+1].logit == x.logit {
			continue
		}
		taken := i + 1
		c.AP += float64(right-before) / float64(c.Positives) * float64(right) / float64(taken)
		before = right
		if f := f1(right, taken-right, c.Positives-right); f > c.BestF1 {
			c.Best, c.BestF1 = float64(x.logit), f
		}
	}
	return c
}

// All measures all classes.
func (a Answers) All() (all []Class) {
	for class := range a.Classes {
		all = append(all, a.Of(class))
	}
	return all
}

// Means sum classes up. Each is in [0, 1], or NaN where no class defines it.
type Means struct {
	AP      float64 // mean average precision, over the classes that have a positive
	F1      float64 // mean F1 at a probability of ½ over the classes that define it ("macro")
	F1Micro float64 // F1 of all answers about all classes together
}

// Mean sums classes up.
func Mean(all []Class) Means {
	var ap, each []float64
	var right, wrong, missed int
	for _, c := range all {
		ap, each = append(ap, c.AP), append(each, c.F1())
		right, wrong, missed = right+c.Right, wrong+c.False, missed+c.Missed
	}
	return Means{AP: mean(ap), F1: mean(each), F1Micro: f1(right, wrong, missed)}
}

// mean is that of the numbers which are defined.
func mean(values []float64) float64 {
	sum, n := 0.0, 0
	for _, v := range values {
		if !math.IsNaN(v) {
			sum, n = sum+v, n+1
		}
	}
	return sum / float64(n)
}
