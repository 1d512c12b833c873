package train

import (
	"context"
	"math"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/seed"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// begun returns a fault unless heads that are new can begin as the recipe asks.
func (r *Run) begun(init string) error {
	how := r.model.Config.Tune.HeadInit
	switch {
	case how == "" || how == "fresh":
		return nil
	case init == "":
		return fault.New("tune.head_init is %s: must be fresh without weights to start from; --init FILE names some, and 'locus finetune' asks for them", how)
	case how == "means" && r.model.Rule.MultiLabel:
		return fault.New("tune.head_init is means: must be fresh or probe with loss.name bce; the nearest mean is one class")
	case r.model.Views() > 1:
		return fault.New("tune.head_init is %s: must be fresh for method.name %s, which learns without labels", how, r.model.Config.Method.Name)
	}
	for _, m := range r.model.Modules() {
		if _, _, ok := nn.SplitLinear(m.Head); !ok || m.Embeds {
			return fault.New("tune.head_init is %s: must be fresh for the head of module %d, which does not end in a linear layer; head.name=linear does", how, m.Index)
		}
	}
	return nil
}

// drawnForGood returns a fault if a head that the weights lack is frozen as it was drawn, and so would answer at random.
func (r *Run) drawnForGood() error {
	for _, k := range r.fresh {
		if _, last, ok := nn.SplitLinear(r.model.Modules()[k-1].Head); ok && last.Weight.Frozen {
			return fault.New("tune.freeze keeps the head of module %d as it is, and the weights have none for these classes: must leave it out, or tune.head_init must be means or probe", k)
		}
	}
	return nil
}

// startHeads gives the heads that the weights lack what the recipe has them begin with: see [model.TuneOptions].
func (r *Run) startHeads(ctx context.Context) error {
	o := r.model.Config.Tune
	if len(r.fresh) == 0 || r.at.Step > 0 || o.HeadInit == "" || o.HeadInit == "fresh" {
		return nil
	}
	images := r.set.Part(data.Train)
	order := data.Order(seed.Derive(r.model.Config.Seed, "train/heads"), 0, images.Len(), true) // images may stand class by class
	if o.HeadImages > 0 {
		order = order[:min(o.HeadImages, len(order))]
	}
	f, err := r.model.headFeatures(ctx, images.Subset(order), r.info, r.fresh)
	if err != nil {
		return err
	}
	defer f.free()
	for k, m := range r.model.Modules() {
		if !f.modules[k].Defined() {
			continue
		}
		w, b, err := r.startOf(ctx, f, k)
		if err != nil {
			return err
		}
		err = r.model.Chain.Residents.Use(k, true, func() error {
			_, last, _ := nn.SplitLinear(m.Head)
			write(last, w, b)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return r.model.Chain.Residents.Settle()
}

// startOf returns weights [classes, D] and biases for the k-th head.
func (r *Run) startOf(ctx context.Context, f features, k int) (w, b []float64, err error) {
	classes := r.model.Net.Classes
	c := newClusters(f, k, classes)
	if len(f.has) > 0 {
		w, b = make([]float64, classes*c.d), f.odds(classes)
		return r.model.Config.Probe.refined(ctx, f, k, c, w, b, r.model.Config.Seed)
	}
	w, b = c.nearest(c.sharpness())
	if r.model.Config.Tune.HeadInit == "means" {
		return w, b, nil
	}
	return r.model.Config.Probe.refined(ctx, f, k, c, w, b, r.model.Config.Seed)
}

// odds are the logits of how many samples have each class, half a sample added to either side: what is said who knows no more.
func (f features) odds(classes int) (b []float64) {
	b = make([]float64, classes)
	for class := range b {
		n := 0.0
		for i := class; i < len(f.has); i += classes {
			n += float64(f.has[i])
		}
		b[class] = math.Log((n + 0.5) / (float64(len(f.labels)) - n + 0.5))
	}
	return b
}

// write puts numbers into a linear layer. Without a bias, that is left out.
func write(l *nn.Linear, w, b []float64) {
	s := l.Weight.Value.Device().Scope(torch.NoGrad)
	defer s.Close()
	l.Weight.Value.Copy(s.FromDoubles(w, l.Weight.Value.Shape()...))
	if l.Bias != nil {
		l.Bias.Value.Copy(s.FromDoubles(b, l.Bias.Value.Shape()...))
	}
}

// clusters are the features of a module class by class.
type clusters struct {
	rows, labels  []float64 // [n, d] and [n]
	n, d, classes int
	whole         []float64   // mean over all
	means         [][]float64 // of each class; the mean over all of a class without a sample
	squares       float64     // mean square distance from whole
}

func newClusters(f features, k, classes int) *clusters {
	c := &clusters{rows: f.modules[k].Float64s(), n: len(f.labels), d: int(f.modules[k].Shape()[1]), classes: classes}
	sums, counts := make([][]float64, classes), make([]float64, classes)
	c.whole = make([]float64, c.d)
	for i := range sums {
		sums[i] = make([]float64, c.d)
	}
	for i, label := range f.labels {
		c.labels = append(c.labels, float64(label))
		counts[label]++
		for j, v := range c.row(i) {
			sums[label][j] += v
			c.whole[j] += v / float64(c.n)
		}
	}
	for label, sum := range sums {
		for j := range sum {
			if sum[j] /= counts[label]; counts[label] == 0 {
				sum[j] = c.whole[j]
			}
		}
	}
	c.means = sums
	for i := range c.n {
		for j, v := range c.row(i) {
			c.squares += (v - c.whole[j]) * (v - c.whole[j]) / float64(c.n)
		}
	}
	return c
}

func (c *clusters) row(i int) []float64 { return c.rows[i*c.d : (i+1)*c.d] }

// nearest returns the linear layer that answers as the nearest class mean does, μ_c being the means and m that over all:
//
//	logits_c = s/2·(‖f − m‖² − ‖f − μ_c‖²) = s·(⟨μ_c − m, f⟩ − (‖μ_c‖² − ‖m‖²)/2)
func (c *clusters) nearest(s float64) (w, b []float64) {
	b = make([]float64, c.classes)
	for label, mean := range c.means {
		for j, v := range mean {
			m := c.whole[j]
			w = append(w, s*(v-m))
			b[label] -= s * (v*v - m*m) / 2
		}
	}
	return w, b
}

// sharpness returns the s at which the nearest means have the least cross-entropy, which is convex in s, by golden section.
func (c *clusters) sharpness() float64 {
	logits := c.answers(c.nearest(1))
	loss := func(log float64) float64 { return c.crossEntropy(logits, math.Exp(log)) }
	span := math.Log(max(c.squares, 1e-30))
	low, high := -span-7, -span+7 // of s·‖f − m‖²
	ratio := (math.Sqrt(5) - 1) / 2
	a, b := high-ratio*(high-low), low+ratio*(high-low)
	la, lb := loss(a), loss(b)
	const steps = 30 // leave a millionth of the span
	for range steps {
		if la < lb {
			high, b, lb = b, a, la
			a = high - ratio*(high-low)
			la = loss(a)
		} else {
			low, a, la = a, b, lb
			b = low + ratio*(high-low)
			lb = loss(b)
		}
	}
	return math.Exp((low + high) / 2)
}

// answers returns the logits [n, classes] of a linear layer.
func (c *clusters) answers(w, b []float64) []float64 {
	all := make([]float64, 0, c.n*c.classes)
	for i := range c.n {
		row := c.row(i)
		for label := range c.classes {
			sum := b[label]
			for j, v := range w[label*c.d : (label+1)*c.d] {
				sum += v * row[j]
			}
			all = append(all, sum)
		}
	}
	return all
}

// crossEntropy is the mean one of logits times s.
func (c *clusters) crossEntropy(logits []float64, s float64) (sum float64) {
	for i := range c.n {
		row := logits[i*c.classes : (i+1)*c.classes]
		top := math.Inf(-1)
		for _, v := range row {
			top = max(top, s*v)
		}
		var total float64
		for _, v := range row {
			total += math.Exp(s*v - top)
		}
		sum += math.Log(total) + top - s*row[int(c.labels[i])]
	}
	return sum / float64(c.n)
}

// length is the root mean square length that features are brought to for a probe: its loss then bends no more than a rate of
// 0.3 with momentum bears.
const length = 2.8

// refined returns the linear probe that starts at a linear layer: trained on features around their mean, brought to one length.
func (o ProbeOptions) refined(ctx context.Context, f features, k int, c *clusters, w, b []float64, root uint64) ([]float64, []float64, error) {
	scale := length / math.Sqrt(max(c.squares, 1e-30))
	s := f.modules[k].Device().Scope(torch.NoGrad)
	defer s.Close()
	centred := s.Scale(s.Add(f.modules[k], s.Cast(s.FromDoubles(c.whole, 1, int64(c.d)), torch.Float32), -1), scale)
	moved := append([]float64{}, b...) // b + ⟨w, m⟩
	for i, v := range w {
		moved[i/c.d] += v * c.whole[i%c.d]
	}
	start := make([]float64, len(w))
	for i, v := range w {
		start[i] = v / scale
	}
	own := features{modules: []torch.Tensor{centred}, labels: f.labels, has: f.has}
	probe, _, err := o.fit(ctx, own, 0, c.classes, root, func(l *nn.Linear) { write(l, start, moved) })
	if err != nil {
		return nil, nil, err
	}
	defer probe.Free()
	_, last, _ := nn.SplitLinear(probe.Head)
	w, b = last.Weight.Value.Float64s(), last.Bias.Value.Float64s()
	for i := range w {
		w[i] *= scale
		b[i/c.d] -= w[i] * c.whole[i%c.d]
	}
	return w, b, nil
}

// headFeatures are what the last linear layers of the heads of some modules get, by their numbers from 1, for images that are
// not augmented. The caller frees them.
func (m *Model) headFeatures(ctx context.Context, images data.Samples, info data.Info, modules []int) (f features, err error) {
	return m.featuresBy(ctx, images, info.Mean, info.Std, func(batches []torch.Tensor) ([][]torch.Tensor, error) {
		return m.Chain.HeadFeatures(batches, modules)
	})
}
