package plan_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/locus-learn/locus/bench"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/plan"
	"github.com/locus-learn/locus/train"
)

// predict returns what a planner that has measured batches of at most so many expects of a larger one, and what a step
// then takes.
func predict(t *testing.T, method string, image, batch, most int, sets ...string) (plan.Prediction, bench.Result) {
	t.Helper()
	c, err := train.Load("", append([]string{"threads=1", fmt.Sprint("data.batch=", batch), fmt.Sprint("model.image=", image),
		"method.name=" + method}, sets...))
	if err != nil {
		t.Fatal(err)
	}
	p, err := train.NewPlanner(c, train.Images{Shape: nn.Shape{C: 3, H: image, W: image}, Classes: 10}, most)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Free()
	ends, err := p.Given()
	if err != nil {
		t.Fatal(err)
	}
	predicted, err := p.Predict(ends, batch)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := bench.Run(context.Background(), c, bench.Options{Methods: []string{method}, Image: image, Classes: 10, Steps: 1})
	if err != nil {
		t.Fatal(err)
	}
	return predicted, rows[0]
}

// A prediction must hold within 5 % of what a step then takes, at a batch that was not measured.
func TestPredictionsHold(t *testing.T) {
	const infopro = "head.name=infopro"
	for _, tt := range []struct {
		image, batch, most int
		modules            string
		sets               string
	}{
		{32, 64, 16, "3", "model.name=resnet32"},
		{32, 64, 16, "16", "model.name=resnet32"},
		{32, 64, 16, "16", "model.name=resnet32 head.width=0"},
		{32, 64, 16, "3", "model.name=resnet32 precision=bf16"},
		{64, 24, 8, "3", "model.name=resnet18 " + infopro},
		{64, 24, 8, "3", "model.name=vgg11_bn model.classes=10 " + infopro},
		{64, 32, 16, "3", "model.name=vit_ti head.name=tokens optim.name=adamw"},
		{64, 24, 8, "3", "model.name=swin_t model.width=48 head.name=tokens"},
	} {
		for _, method := range []string{"bp", "layerwise", "sgr"} {
			t.Run(tt.sets+" K="+tt.modules+" "+method, func(t *testing.T) {
				sets := append(strings.Fields(tt.sets), "method.modules="+tt.modules)
				predicted, measured := predict(t, method, tt.image, tt.batch, tt.most, sets...)
				got, want := float64(predicted.ActivationBytes), float64(measured.ActivationBytes)
				t.Logf("predicted %.2f MB, measured %.2f MB: %+.2f %%", got/1e6, want/1e6, 100*(got/want-1))
				if got < 0.95*want || got > 1.05*want {
					t.Errorf("activations: predicted %.0f, measured %.0f", got, want)
				}
				if r := float64(predicted.RestingBytes) / float64(measured.RestingBytes); r < 0.999 || r > 1.001 {
					t.Errorf("resting bytes: predicted %d, measured %d", predicted.RestingBytes, measured.RestingBytes)
				}
			})
		}
	}
}
