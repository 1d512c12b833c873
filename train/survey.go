package train

import (
	"context"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/record"
	"github.com/locus-learn/locus/torch"
)

// Survey is what a recipe's run will take, as far as that can be told before it begins.
type Survey struct {
	Input      model.Input // of the data set
	Steps      int         // in the whole run
	Views      int         // of each sample
	Validation int         // samples held out
	MACs       int64       // multiply-adds of one sample's way forward through network and local heads
	Data       record.Data // what the run would learn from
}

// operations a multiply-add forward stands for in training: two, and as many again for the gradient with respect to the
// input and for that with respect to the weight.
const operations = 6

// PFLOP is the arithmetic of so many steps of a batch, in 10¹⁵ operations: that of the products in network and heads,
// forward and back. What a term, a decoder or an evaluation takes is not in it.
func (s Survey) PFLOP(batch, steps int) float64 {
	return operations * float64(s.MACs) * float64(s.Views*batch) * float64(steps) / 1e15
}

// Look opens a recipe's data, builds its model and sends a sample through; dir is where data is looked for first, and may
// be empty. A recipe that cannot be trained is a fault.
func Look(c Config, dir string) (s Survey, err error) {
	set, err := data.Open(c.Data, c.Seed, dirs(dir))
	if err != nil {
		return s, err
	}
	samples := set.Part(data.Train)
	perEpoch := data.Count(samples.Len(), c.Data.Batch, false)
	if perEpoch == 0 {
		return s, fault.New("data.batch is %d: must be at most %d, the number of training samples", c.Data.Batch, samples.Len())
	}
	s.Input = inputOf(set.Info())
	m, err := NewModel(c, s.Input, true)
	if err != nil {
		return s, err
	}
	defer m.Free()
	if want, has := m.Net.Input, s.Input.Shape; want.H != has.H {
		return s, fault.New("model.image is %d: %s has images of side %d", want.H, set.Info().Name, has.H)
	}
	s.Steps, s.Views = c.Schedule.Epochs*perEpoch*m.Cycles(), m.Views()
	s.Validation = set.Part(data.Validation).Len()
	s.Data = record.Data(data.FingerprintOf(set))
	s.MACs, err = m.products(samples, set.Info())
	return s, err
}

// products counts the multiply-adds of one sample's way through the modules' bodies and heads.
func (m *Model) products(samples data.Samples, info data.Info) (sum int64, err error) {
	work, err := m.work(samples, info.Mean, info.Std)
	for _, w := range work {
		sum += w.Body + w.Head
	}
	return sum, err
}

// Work is what a sample's way through a module takes, in multiply-adds of its convolutions and matrix products.
type Work struct {
	Body, Head int64 // without the head's, and the head's alone
}

// work sends one of some samples through the modules and counts.
func (m *Model) work(samples data.Samples, mean, std []float64) (all []Work, err error) {
	batches := m.batches(samples, mean, data.BatchOptions{Batch: 1, Workers: 1})
	defer batches.Close()
	batch, err := batches.Next(context.Background())
	if err != nil {
		return nil, err
	}
	x, y := toTensors(m, batch, mean, std)
	y.Free()
	s := torch.NewScopeOn(m.Device(), torch.NoGrad)
	defer s.Close()
	x = s.Adopt(x)
	err = m.Each(false, func(module *local.Module) (err error) {
		defer torch.Catch(&err)
		var w Work
		w.Body = counted(s, m.DType, func(p *nn.Pass) { x = module.Body.Forward(p, x) })
		if module.Head != nil {
			w.Head = counted(s, m.DType, func(p *nn.Pass) { module.Head.Forward(p, p.Alias(x)).Free() })
		}
		all = append(all, w)
		return nil
	})
	return all, err
}

// counted sums up the products of what do does in evaluation mode.
func counted(s *torch.Scope, dtype torch.DType, do func(*nn.Pass)) (sum int64) {
	var work []nn.Product
	p := nn.Evaluate(s, dtype)
	p.Work = &work
	do(p)
	for _, w := range work {
		sum += w.MACs
	}
	return sum
}
