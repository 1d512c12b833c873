package train

import (
	"context"
	"math"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/seed"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/torch"
)

// ProbeOptions is the `probe` section of a recipe: how features that were learned without labels are measured.
type ProbeOptions struct {
	Bank        int     `recipe:"bank" default:"50000" min:"0" max:"1000000000" doc:"self-supervised: training images whose features are the neighbours, and teach the linear probe; 0 for all"`
	Neighbours  int     `recipe:"neighbours" default:"200" min:"1" max:"1000000" doc:"self-supervised: k of the k-NN accuracy at each evaluation"`
	Temperature float64 `recipe:"temperature" default:"0.07" min:"0.001" max:"1000" doc:"self-supervised: a neighbour's vote is exp(cosine/temperature)"`
	Epochs      int     `recipe:"epochs" default:"100" min:"0" max:"1000000" doc:"self-supervised: of the linear probe at the end, by sgd with momentum 0.9 and weight decay 1e-6, cosine; 0 for no probe"`
	LR          float64 `recipe:"lr" default:"0.3" min:"0" max:"1000" doc:"self-supervised: learning rate of the linear probe"`
	Batch       int     `recipe:"batch" default:"256" min:"1" max:"65536" doc:"self-supervised: batch of the linear probe"`
}

// linearProbe trains a linear classifier on the frozen features of every module of a run that used no labels. Features are found
// once, without augmentation.
func (r *Run) linearProbe(ctx context.Context) error {
	m := r.model
	o := m.Config.Probe
	if m.Views() < 2 || o.Epochs == 0 || r.at.Step == 0 {
		return nil
	}
	train, err := m.features(ctx, data.Limit(r.set.Part(data.Train), o.Bank), r.info.Mean, r.info.Std)
	if err != nil {
		return err
	}
	defer train.free()
	test, err := m.features(ctx, r.set.Part(data.Test), r.info.Mean, r.info.Std)
	if err != nil {
		return err
	}
	defer test.free()
	r.probed = nil
	for k := range train.modules {
		a, err := o.linear(ctx, train, test, k, m.Net.Classes, m.Config.Seed)
		if err != nil {
			return err
		}
		r.probed = append(r.probed, a)
	}
	return nil
}

// linear trains a linear layer on module k's features, as a network of one module with nothing in front of its head, and
// returns its accuracy on others.
func (o ProbeOptions) linear(ctx context.Context, train, test features, k, classes int, root uint64) (a Accuracy, err error) {
	layer, chain, err := o.fit(ctx, train, k, classes, root, nil)
	if err != nil {
		return a, err
	}
	defer layer.Free()
	all := data.Order(0, 0, len(test.labels), false)
	scores, err := chain.Evaluate(test.rows(k, all))
	if err != nil {
		return a, err
	}
	s := scores[0]
	return Accuracy{Top1: 100 * float64(s.Top1) / float64(s.N), Top5: 100 * float64(s.Top5) / float64(s.N), Loss: math.NaN()}, nil
}

// fit trains a linear layer on module k's features. It begins as start, unless nil, leaves it. The caller frees the module.
func (o ProbeOptions) fit(ctx context.Context, train features, k, classes int, root uint64, start func(*nn.Linear)) (layer *local.Module, chain *local.Chain, err error) {
	width := int(train.modules[k].Shape()[1])
	init := nn.Init{Seed: seed.Derive(root, "train/probe", uint64(k)), Device: train.modules[k].Device()}
	sgd := optim.Options{Name: "sgd", Momentum: 0.9, WeightDecay: 1e-6, Decay: "all"}
	linear := nn.NewLinear(init.In("fc"), width, classes)
	if start != nil {
		start(linear)
	}
	layer = local.NewModule(1, true, nil, linear, nil, func(params []*nn.Param) optim.Optimizer { return optim.New(sgd, params) })
	made := layer
	defer func() {
		if err != nil {
			made.Free()
		}
	}()
	many := len(train.has) > 0
	rule := local.Rule{MultiLabel: many, Objective: local.Classify{Scores: local.Scores{MultiLabel: many}}, Term: local.None{}, Credit: local.Autograd{}}
	chain = local.NewChain([]*local.Module{layer}, rule, local.Together{}, torch.Float32)

	n := len(train.labels)
	perEpoch := data.Count(n, o.Batch, true)
	schedule := optim.ScheduleOptions{Name: "cosine", Epochs: o.Epochs}
	total := o.Epochs * perEpoch
	var order []int
	for step := range total {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		epoch, at := step/perEpoch, step%perEpoch*o.Batch
		if at == 0 {
			order = data.Order(init.Seed, epoch, n, true)
		}
		x, y := train.rows(k, order[at:min(at+o.Batch, n)])
		if _, err := chain.Step(x, y, local.Tick{Step: step, LR: schedule.Rate(o.LR, step, total, perEpoch)}); err != nil {
			return nil, nil, err
		}
	}
	return layer, chain, nil
}

// rows returns module k's features of some images, and their labels; the caller owns both.
func (f features) rows(k int, positions []int) (x, y torch.Tensor) {
	s := f.modules[k].Device().Scope(torch.NoGrad)
	defer s.Close()
	at, labels := make([]int64, len(positions)), make([]int64, len(positions))
	classes := len(f.has) / len(f.labels)
	var has []byte
	for i, p := range positions {
		at[i], labels[i] = int64(p), f.labels[p]
		has = append(has, f.has[p*classes:(p+1)*classes]...)
	}
	return s.Rows(f.modules[k], s.FromInts(at)).Keep(), labelsOf(s, labels, has, len(positions)).Keep()
}
