package local_test

import (
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// meeting lets module 1 go on with its second batch only when module 2 has its first one in hand, and keeps module 2
// there until the gate opens.
type meeting struct {
	first, second *sync.Once
	met, gate     chan struct{}
}

func (o meeting) Loss(p *nn.Pass, m *local.Module, x torch.Tensor, in local.Signal) torch.Tensor {
	switch {
	case m.Index == 2:
		o.second.Do(func() { close(o.met); <-o.gate })
	case int(in.Y.Shape()[0]) != batch:
		o.first.Do(func() { <-o.met })
	}
	return local.Classify{}.Loss(p, m, x, in)
}

func TestModulesWorkAtTheSameTimeOnSoManyBatches(t *testing.T) {
	o := sgr("directional")
	o.Modules = 2
	c := chain(t, resnet, o, torch.Float32)
	objective := meeting{&sync.Once{}, &sync.Once{}, make(chan struct{}), make(chan struct{})}
	c.Rule.Objective = objective
	p := pipeline(t, c, 2, 2)
	step := func(step int) []local.Outcome {
		x, y := randomBatch(torch.Float32, 0)
		x, y = shorten(x, y, batch-step)
		left, err := p.Step(x, y, local.Tick{Step: step, LR: 0.1})
		if err != nil {
			t.Error(err)
		}
		return left
	}
	step(0)
	step(1)
	<-objective.met
	third := make(chan []local.Outcome)
	go func() { third <- step(2) }()
	select {
	case <-third:
		t.Error("a third batch entered")
	case <-time.After(100 * time.Millisecond):
	}
	close(objective.gate)
	left := <-third
	if len(left) != 1 || left[0].Step != 0 {
		t.Fatalf("%v left, want step 0", left)
	}
	for k, s := range left[0].Stats {
		if s.Busy <= 0 || s.Wait <= 0 {
			t.Errorf("module %d was busy for %v and waited for %v", k+1, s.Busy, s.Wait)
		}
	}
	if busy := left[0].Stats[1].Busy; busy < 100*time.Millisecond {
		t.Errorf("module 2 was busy for %v, at least 100 ms behind the gate", busy)
	}
}

// threads notes how many threads each module computes with.
type threads struct{ of *sync.Map }

func (o threads) Loss(p *nn.Pass, m *local.Module, x torch.Tensor, in local.Signal) torch.Tensor {
	o.of.Store(m.Index, torch.Threads())
	return local.Classify{}.Loss(p, m, x, in)
}

func TestWorkersShareTheThreads(t *testing.T) {
	for total, want := range map[int][]int{1: {1, 1, 1}, 2: {1, 1, 1}, 5: {1, 2, 2}, 7: {2, 2, 3}} {
		c := chain(t, resnet, sgr("directional"), torch.Float32)
		noted := threads{&sync.Map{}}
		c.Rule.Objective = noted
		if _, err := feed(pipeline(t, c, 3, total), 0, 3, nil); err != nil {
			t.Fatal(err)
		}
		var got []int
		for k := 1; k <= 3; k++ {
			n, _ := noted.of.Load(k)
			got = append(got, n.(int))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d threads are shared as %v, want %v", total, got, want)
		}
	}
}

func TestPipelineClosedWithBatchesInFlight(t *testing.T) {
	p := pipeline(t, chain(t, resnet, sgr("directional"), torch.Float32), 4, 3)
	if _, err := feed(p, 0, 1, nil); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, func() {
		for step := range 4 {
			x, y := randomBatch(torch.Float32, uint64(step))
			if left, err := p.Step(x, y, local.Tick{Step: step, LR: 0.1}); err != nil || len(left) > 0 {
				t.Errorf("%d outcomes, error %v", len(left), err)
			}
		}
		p.Close()
	})
}

func TestPipelineEvaluatesWhenEmpty(t *testing.T) {
	c := chain(t, resnet, sgr("directional"), torch.Float32)
	p := pipeline(t, c, 2, 3)
	nothingLeft(t, func() {
		got, err := p.Evaluate(randomBatch(torch.Float32, 1))
		want, wantErr := c.Evaluate(randomBatch(torch.Float32, 1))
		if err != nil || wantErr != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("scores %v, error %v, want %v", got, err, want)
		}
	})
	x, y := randomBatch(torch.Float32, 2)
	if _, err := p.Step(x, y, local.Tick{LR: 0.1}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Evaluate(torch.Tensor{}, torch.Tensor{}); err == nil {
		t.Error("it evaluates while a batch is in flight")
	}
}
