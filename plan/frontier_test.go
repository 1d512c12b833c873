package plan_test

import (
	"testing"

	"github.com/locus-learn/locus/plan"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/train"
)

// Of the network, no more is in memory than what is being measured: what does not fit can be planned where it does not.
func TestPlannersHoldLittle(t *testing.T) {
	before := torch.LiveBytes()
	torch.ResetPeak()
	c, err := train.Load("", []string{"threads=1", "model.name=vit_ti", "model.image=32", "head.name=tokens", "optim.name=adamw"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.New(c.Spec(square(32)), plan.Options{Most: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Free()
	r, err := p.Plan(6, 4, plan.Memory)
	if err != nil {
		t.Fatal(err)
	}
	if held, peak := torch.LiveBytes()-before, torch.PeakBytes()-before; held > 1<<20 || peak > r.RestingBytes/3 {
		t.Errorf("%d bytes are held and %d at the highest, of a network of %d", held, peak, r.RestingBytes)
	}
}

// Marked points form a staircase, every other point is beaten by a marked one, and those said to lose to back-propagation do.
func TestFrontier(t *testing.T) {
	c, err := train.Load("fashion-sgr", []string{"threads=1", "model.name=resnet32", "model.depth=14", "model.image=16", "optim.name=adamw"})
	if err != nil {
		t.Fatal(err)
	}
	points, err := plan.Frontier(c.Spec(square(16)), 12, plan.FrontierOptions{Methods: []string{"layerwise", "sgr"}, Streams: true})
	if err != nil {
		t.Fatal(err)
	}
	beats := func(a, b plan.Point) bool { return a.Seconds < b.Seconds && a.PeakBytes < b.PeakBytes }
	kinds, best := map[string]int{}, 0
	for _, p := range points {
		kind := p.Method + " " + p.Checkpoint
		if p.Streaming != nil {
			kind += " streaming"
		}
		kinds[kind]++
		beaten, byBP := false, false
		for _, q := range points {
			beaten = beaten || beats(q, p) && (q.Method == "bp" || q.Method == p.Method) && (q.Streaming == nil || p.Streaming != nil)
			byBP = byBP || q.Method == "bp" && beats(q, p)
		}
		if p.Best {
			best++
		}
		if p.Best && beaten || byBP != (p.BeatenBy != "") && p.Method != "bp" {
			t.Errorf("%s: %+v", p.Name(), p)
		}
	}
	for kind, want := range map[string]int{
		"bp none": 1, "bp blocks": 1, "bp sqrt": 1, "layerwise none": 6, "layerwise none streaming": 6, "layerwise blocks": 5, "sgr none": 6, "sgr blocks": 5,
	} {
		if kinds[kind] != want {
			t.Errorf("%d points of %s, want %d", kinds[kind], kind, want)
		}
	}
	if best == 0 {
		t.Error("no point is marked")
	}
}
