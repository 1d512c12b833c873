package train

import (
	"context"
	"math"
	"slices"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/torch"
)

// Examination is an [Evaluation] with what every head says of every sample.
type Examination struct {
	Evaluation
	Labels  []int    // of the samples, without those that cannot be read
	Places  []int    // of the samples in their part; nil where the set does not say
	Said    [][]Said // one list a module, one element a sample; nil of a module whose head does not answer
	Work    []Work   // of each module
	Worst   []Mistake
	Samples data.Shape
	Ranked  *Ranked // in place of Labels, Said and what mistakes are about, where samples may have any number of classes; else nil
}

// Ranked is what heads answer about each class of samples that may have any number of them.
type Ranked struct {
	Has     []byte      // samples × classes, 1 where a sample has a class
	Answers [][]float32 // logits, samples × classes, of each module
}

// Said is what a head says of one sample.
type Said struct {
	Class int     // the most probable one
	Sure  float64 // its probability, in [0, 1]
	Right float64 // the probability of the sample's label
}

// Mistake is a sample that the last head is wrong about.
type Mistake struct {
	Sample int    // among those that could be read
	Class  int    // that the answer is most wrong about, where samples may have any number of them
	Title  string // the sample's path; "" where it is in no file
	Pixels []byte // H × W × C, channels last; nil where samples are no bytes
}

// Examine evaluates the model as [Trained.Evaluate] does and keeps what heads answer: three numbers a head and sample, and
// the most samples that the last head is surest of and wrong about, worst first.
func (t *Trained) Examine(ctx context.Context, part Split, dir string, most int, notice func(string)) (Examination, error) {
	var e Examination
	if err := t.answers(); err != nil {
		return e, err
	}
	set, images, err := t.open(part, dir, notice)
	if err != nil {
		return e, err
	}
	x := examiner{most: most, said: make([][]Said, len(t.Modules()))}
	if t.Rule.MultiLabel {
		x.ranked = &Ranked{Answers: make([][]float32, len(t.Modules()))}
	}
	heads, err := t.evaluate(ctx, images, t.set.Mean, t.set.Std, x.look, func(batches []local.Signal) ([][]local.Score, error) {
		scores, err := t.Chain.Examine(batches, x.hear)
		x.pending = nil
		return scores, err
	})
	if err == nil {
		err = t.finite(heads)
	}
	if err != nil {
		return e, err
	}
	e = Examination{
		Evaluation: evaluation(set, images, heads), Labels: x.labels, Places: x.places, Said: x.said, Worst: x.worst,
		Samples: set.Info().Shape, Ranked: x.ranked,
	}
	if titled, ok := images.(data.Titled); ok {
		for i, m := range e.Worst {
			if len(e.Places) == x.seen {
				e.Worst[i].Title = titled.Title(e.Places[m.Sample])
			}
		}
	}
	defer torch.Pin()()
	e.Work, err = t.work(images, t.set.Mean, t.set.Std)
	return e, err
}

// examiner listens to heads.
type examiner struct {
	most    int // mistakes to keep
	seen    int // samples
	labels  []int
	places  []int
	said    [][]Said
	worst   []Mistake
	ranked  *Ranked
	errors  []float64 // of the worst: how far the probability of their class is off
	pending []looked  // batches that heads have yet to answer
}

// looked is a batch of which heads are asked.
type looked struct {
	first  int // its first sample
	n      int
	labels []int64
	has    []byte
	pixels []byte
}

// look takes a copy of what is needed of a batch.
func (x *examiner) look(b data.Batch) {
	x.pending = append(x.pending, looked{x.seen, b.N, slices.Clone(b.Labels), slices.Clone(b.Has), slices.Clone(b.Bytes)})
	x.seen += b.N
	if x.ranked != nil {
		x.ranked.Has = append(x.ranked.Has, b.Has...)
	}
	for _, label := range b.Labels {
		x.labels = append(x.labels, int(label))
	}
	x.places = append(x.places, b.Places...)
}

// hear is a [local.Hear].
func (x *examiner) hear(module, batch int, logits torch.Tensor) {
	values := logits.Float64s()
	b := x.pending[batch]
	if x.ranked != nil {
		x.rank(module, b, values)
		return
	}
	classes := len(values) / len(b.labels)
	for i, label := range b.labels {
		x.said[module] = append(x.said[module], say(values[i*classes:(i+1)*classes], int(label)))
	}
	if module == len(x.said)-1 {
		x.keepWorst(b, x.said[module][b.first:])
	}
}

// say sums up a head's logits for one sample, by a softmax in float64.
func say(logits []float64, label int) Said {
	class := 0
	for i, v := range logits {
		if v > logits[class] {
			class = i
		}
	}
	sum := 0.0
	for _, v := range logits {
		sum += math.Exp(v - logits[class])
	}
	return Said{class, 1 / sum, math.Exp(logits[label]-logits[class]) / sum}
}

// keepWorst takes in the mistakes of the last head on a batch: of all so far, those it is surest of.
func (x *examiner) keepWorst(b looked, said []Said) {
	last := x.said[len(x.said)-1]
	sure := func(m Mistake) float64 { return last[m.Sample].Sure }
	size := len(b.pixels) / len(b.labels)
	for i, s := range said {
		if s.Class == int(b.labels[i]) {
			continue
		}
		m := Mistake{Sample: b.first + i}
		at, _ := slices.BinarySearchFunc(x.worst, m, func(have, m Mistake) int {
			if sure(have) >= sure(m) { // of equals the first one stays in front
				return -1
			}
			return 1
		})
		if at >= x.most {
			continue
		}
		if size > 0 {
			m.Pixels = slices.Clone(b.pixels[i*size : (i+1)*size])
		}
		x.worst = slices.Insert(x.worst, at, m)
		x.worst = x.worst[:min(len(x.worst), x.most)]
	}
}

// rank keeps the logits of a head for a batch whose samples may have any number of classes, and the mistakes of the last head:
// those classes whose probability is furthest off, one a sample.
func (x *examiner) rank(module int, b looked, logits []float64) {
	for _, v := range logits {
		x.ranked.Answers[module] = append(x.ranked.Answers[module], float32(v))
	}
	if module < len(x.said)-1 {
		return
	}
	classes, size := len(logits)/b.n, len(b.pixels)/b.n
	for i := range b.n {
		m, off := Mistake{Sample: b.first + i}, 0.5 // what is closer is no mistake
		for class, z := range logits[i*classes : (i+1)*classes] {
			if d := math.Abs(local.Sigmoid(z) - float64(b.has[i*classes+class])); d > off {
				m.Class, off = class, d
			}
		}
		at, _ := slices.BinarySearchFunc(x.errors, off, func(have, off float64) int {
			if have >= off { // of equals the first one stays in front
				return -1
			}
			return 1
		})
		if off == 0.5 || at >= x.most {
			continue
		}
		if size > 0 {
			m.Pixels = slices.Clone(b.pixels[i*size : (i+1)*size])
		}
		x.worst, x.errors = slices.Insert(x.worst, at, m), slices.Insert(x.errors, at, off)
		x.worst, x.errors = x.worst[:min(len(x.worst), x.most)], x.errors[:min(len(x.errors), x.most)]
	}
}
