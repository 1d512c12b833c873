package data

import (
	"math/rand/v2"
	"slices"
)

// multiLabelled returns the samples as such that may have any number of classes each, if they are.
func multiLabelled(s Samples) (MultiLabelled, bool) {
	many, ok := s.(MultiLabelled)
	return many, ok && many.MultiLabel()
}

// divideClasses divides all samples into n and the rest, so that both have their share of each class, by iterative stratification
// (Sechidis et al. 2011): the class with the fewest samples that are left is dealt out first, each sample of it to the part that
// lacks more of it. Both results ascend.
func divideClasses(s MultiLabelled, all, n int, random *rand.Rand) (stay, gone []int) {
	d := newDealer(s, all, n, random)
	for {
		class, found := d.rarest()
		if !found {
			break
		}
		for _, i := range d.of[class] {
			if !d.dealt[i] {
				d.deal(i, d.wants[1][class], d.wants[0][class])
			}
		}
		d.of[class] = nil
	}
	for _, i := range d.order { // without a class
		if !d.dealt[i] {
			d.deal(i, d.room[1], d.room[0])
		}
	}
	slices.Sort(d.parts[0])
	slices.Sort(d.parts[1])
	return d.parts[0], d.parts[1]
}

// dealer deals samples out to the rest, part 0, and to those that are taken, part 1.
type dealer struct {
	samples MultiLabelled
	order   []int
	of      [][]int // samples of each class, in a random order
	left    []int   // how many of them are not dealt yet
	dealt   []bool
	wants   [2][]float64 // how many samples of each class a part lacks
	room    [2]float64   // how many samples it lacks in all
	parts   [2][]int
}

func newDealer(s MultiLabelled, all, n int, random *rand.Rand) *dealer {
	d := &dealer{samples: s, order: random.Perm(all), dealt: make([]bool, all)}
	for _, i := range d.order {
		for _, class := range s.Classes(i) {
			for int(class) >= len(d.of) {
				d.of = append(d.of, nil)
			}
			d.of[class] = append(d.of[class], i)
		}
	}
	share := float64(n) / float64(max(1, all))
	for _, of := range d.of {
		d.left = append(d.left, len(of))
		d.wants[0] = append(d.wants[0], (1-share)*float64(len(of)))
		d.wants[1] = append(d.wants[1], share*float64(len(of)))
	}
	d.room = [2]float64{float64(all - n), float64(n)}
	return d
}

// rarest returns the class that has the fewest samples left.
func (d *dealer) rarest() (class int, found bool) {
	for c, n := range d.left {
		if n > 0 && (!found || n < d.left[class]) {
			class, found = c, true
		}
	}
	return class, found
}

// deal gives a sample to the part that wants it more, if that has room. Of equals the rest is first.
func (d *dealer) deal(i int, taken, rest float64) {
	part := 0
	if taken > rest {
		part = 1
	}
	if d.room[part] < 0.5 {
		part = 1 - part
	}
	d.parts[part] = append(d.parts[part], i)
	d.room[part]--
	d.dealt[i] = true
	for _, class := range d.samples.Classes(i) {
		d.wants[part][class]--
		d.left[class]--
	}
}
