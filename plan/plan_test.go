package plan_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/locus-learn/locus/bench"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/plan"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/train"
)

// predict returns what a planner that has measured batches of at most so many expects of a larger one, and what a step
// then takes.
func predict(t *testing.T, method string, image, batch, most int, sets ...string) (plan.Prediction, bench.Result) {
	t.Helper()
	c, err := train.Load("fashion-sgr", append([]string{"threads=1", fmt.Sprint("data.batch=", batch), fmt.Sprint("model.image=", image),
		"method.name=" + method}, sets...))
	if err != nil {
		t.Fatal(err)
	}
	spec := c.Spec(square(image))
	p, err := plan.New(spec, plan.For(spec, most))
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
	rows, err := bench.Run(context.Background(), spec, bench.Options{Methods: []string{method}, Batch: batch, LR: c.Optim.LR, Steps: 1})
	if err != nil {
		t.Fatal(err)
	}
	return predicted, rows[0]
}

func square(side int) model.Input {
	return model.Input{Shape: nn.Shape{C: 3, H: side, W: side}, Classes: 10}
}

// A prediction must hold within 5 % of what a step then takes, at a batch that was not measured; within 6 % for Swin on
// small images, whose attention works on all windows of a small batch at once and on a part of those of a larger one.
func TestPredictionsHold(t *testing.T) {
	const all, local = "bp layerwise sgr", "layerwise sgr"
	for _, tt := range []struct {
		image, batch, most int
		methods            string
		sets               string
	}{
		{32, 48, 16, all, "model.name=resnet32 method.modules=3"},
		{32, 48, 16, local, "model.name=resnet32 method.modules=16 head.width=0"},
		{32, 48, 16, "sgr", "model.name=resnet32 method.modules=3 precision=bf16 method.gradient=directional"},
		{32, 48, 16, "sgr", "model.name=resnet32 method.modules=3 precision=bf16"},
		{32, 48, 16, "sgr", "model.name=resnet32 method.modules=16 precision=bf16 head.width=0"},
		{32, 48, 16, "sgr", "model.name=resnet32 method.modules=16 method.gradient=tangent head.width=0"},
		{64, 20, 8, "sgr", "model.name=resnet50 model.width=16 method.modules=3 head.name=infopro precision=bf16"},
		{64, 20, 8, "sgr", "model.name=vgg11_bn model.width=16 method.modules=3 head.name=infopro precision=bf16"},
		{32, 48, 16, "dgl infopro", "model.name=resnet32 model.depth=14 method.modules=4"},
		{32, 48, 16, "sgr", "model.name=resnet32 model.depth=14 method.modules=4 head.name=auglocal"},
		{64, 20, 8, all, "model.name=resnet18 model.width=32 method.modules=3 head.name=infopro"},
		{64, 20, 8, local, "model.name=vgg11_bn model.width=16 method.modules=3 head.name=infopro"},
		{32, 24, 8, "barlow barlow-sgr", "model.name=resnet32 model.depth=14 method.modules=3 head.widths=32,64,64 method.lambda=1 data.augment=barlow"},
		{64, 12, 6, "barlow barlow-sgr", "model.name=resnet18 model.width=16 method.modules=3 head.widths=128,256,256 data.augment=barlow"},
		{64, 32, 16, all, "model.name=vit_ti method.modules=3 head.name=tokens optim.name=adamw"},
		{64, 24, 16, all, "model.name=swin_t model.width=48 method.modules=3 head.name=tokens"},
		{32, 48, 16, "sgr", "model.name=resnet32 method.modules=3 method.checkpoint=blocks"},
		{32, 48, 16, "bp", "model.name=resnet32 method.checkpoint=sqrt"},
		{32, 48, 16, "sgr", "model.name=resnet32 method.modules=3 method.checkpoint=blocks precision=bf16"},
		{64, 20, 8, "layerwise", "model.name=resnet50 model.width=16 method.modules=3 head.name=infopro method.checkpoint=2"},
		{64, 32, 16, "sgr", "model.name=vit_ti method.modules=3 head.name=tokens optim.name=adamw method.checkpoint=sqrt"},
		{32, 48, 16, all, "model.name=resnet32 model.depth=14 method.modules=3 tune.freeze=stem,layer1"},
		{32, 48, 16, all, "model.name=resnet32 model.depth=14 method.modules=3 tune.freeze=stem,layer1.0"},
		{32, 48, 16, all, "model.name=resnet32 model.depth=14 method.modules=3 tune.freeze=body"},
		{32, 48, 16, "sgr", "model.name=resnet32 model.depth=14 method.modules=3 tune.freeze=layer2"},
		{64, 32, 16, "bp", "model.name=vit_ti tune.freeze=patch_embed,blocks.0,blocks.1,blocks.2,blocks.3,blocks.4 optim.name=adamw"},
		{64, 32, 16, "sgr", "model.name=vit_ti method.modules=3 head.name=tokens optim.name=adamw method.gradient=shifted"},
		{32, 48, 16, "sgr", "model.name=resnet32 method.modules=3 method.gradient=shifted"},
		{64, 32, 16, "sgr", "model.name=vit_ti method.modules=3 head.name=tokens method.checkpoint=sqrt method.gradient=shifted"},
	} {
		for _, method := range strings.Fields(tt.methods) {
			t.Run(tt.sets+" "+method, func(t *testing.T) {
				predicted, measured := predict(t, method, tt.image, tt.batch, tt.most, strings.Fields(tt.sets)...)
				got, want := float64(predicted.ActivationBytes), float64(measured.ActivationBytes)
				t.Logf("predicted %.2f MB, measured %.2f MB: %+.2f %%", got/1e6, want/1e6, 100*(got/want-1))
				tolerance := 0.05
				if strings.Contains(tt.sets, "swin") {
					tolerance = 0.06
				}
				if math.Abs(got-want) > tolerance*want {
					t.Errorf("activations: predicted %.0f, measured %.0f", got, want)
				}
				if r := float64(predicted.RestingBytes) / float64(measured.RestingBytes); r < 0.999 || r > 1.001 {
					t.Errorf("resting bytes: predicted %d, measured %d", predicted.RestingBytes, measured.RestingBytes)
				}
			})
		}
	}
}

func planner(t *testing.T, sets ...string) *plan.Planner {
	t.Helper()
	c, err := train.Load("fashion-sgr", append([]string{"threads=1", "model.name=resnet32", "model.depth=14", "model.image=16"}, sets...))
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.New(c.Spec(square(16)), plan.Options{Most: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Free)
	return p
}

// No other cuts of a small network have a smaller peak than the chosen ones.
func TestNoOtherCutsTakeLess(t *testing.T) {
	const batch = 40
	p := planner(t)
	chosen, err := p.Plan(3, batch, plan.Memory)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < p.Blocks()-1; i++ {
		for j := i + 1; j < p.Blocks(); j++ {
			other, err := p.Predict([]int{i, j, p.Blocks()}, batch)
			if err != nil {
				t.Fatal(err)
			}
			if other.ActivationBytes < chosen.ActivationBytes {
				t.Errorf("cuts %v take %d bytes, the chosen %v %d", other.Cuts, other.ActivationBytes, chosen.Cuts, chosen.ActivationBytes)
			}
		}
	}
}

// A budget is used up: one more image would not fit.
func TestFitIsTheLargestBatch(t *testing.T) {
	p := planner(t)
	const budget = 8 << 20
	fit, ok, err := p.Fit(3, budget, plan.Memory)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	more, err := p.Plan(3, fit.Batch+1, plan.Memory)
	if err != nil {
		t.Fatal(err)
	}
	if fit.PeakBytes > budget || more.PeakBytes <= budget {
		t.Errorf("batch %d takes %d bytes, one more %d, the budget is %d", fit.Batch, fit.PeakBytes, more.PeakBytes, budget)
	}
	if _, ok, err := p.Fit(3, 1<<10, plan.Memory); ok || err != nil {
		t.Errorf("a budget of 1 KiB: ok %v, error %v", ok, err)
	}
}

func TestNothingStaysAlive(t *testing.T) {
	bytes, tensors := torch.LiveBytes(), torch.LiveTensors()
	t.Run("planner", func(t *testing.T) {
		for _, goal := range []plan.Goal{plan.Memory, plan.Time} {
			for _, precision := range []string{"fp32", "bf16"} {
				if _, err := planner(t, "precision="+precision).Plan(2, 8, goal); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
	if b, n := torch.LiveBytes()-bytes, torch.LiveTensors()-tensors; b != 0 || n != 0 {
		t.Errorf("%d bytes in %d tensors are left", b, n)
	}
}

// What is not laid out like a step of back-propagation inside modules is refused, not guessed.
func TestRefusals(t *testing.T) {
	for _, tt := range []struct{ set, want string }{
		{"method.gradient=double", "method.gradient auto"},
		{"method.fraction=0.5", "method.fraction 1"},
		{"method.name=fa", "method.name is fa"},
		{"method.name=reforward", "method.name is reforward"},
	} {
		c, err := train.Load("fashion-sgr", []string{"threads=1", "model.name=plain7", tt.set})
		if err != nil {
			t.Fatal(tt.set, err)
		}
		_, err = plan.New(c.Spec(square(32)), plan.Options{Most: 4})
		if _, user := errors.AsType[*fault.Fault](err); !user || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want a fault with %q", tt.set, err, tt.want)
		}
	}
}

// Where modules come and go, the peak of all tensors and what is read and written hold within 5 %, too.
func TestPredictionsOfStreamsHold(t *testing.T) {
	for _, tt := range []struct {
		method string
		sets   string
	}{
		{"layerwise", "model.name=vit_ti method.modules=13 head.name=tokens optim.name=adamw method.resident=1 method.visit=2"},
		{"sgr", "model.name=vit_ti method.modules=4 head.name=tokens optim.name=adamw method.resident=1 method.visit=4 method.signals=spill"},
		{"sgr", "model.name=vit_ti method.modules=13 head.name=tokens optim.name=adamw method.resident=4 method.visit=1 method.checkpoint=blocks"},
		{"infopro", "model.name=resnet18 model.width=32 method.modules=4 method.resident=1 method.visit=2"},
	} {
		t.Run(tt.sets+" "+tt.method, func(t *testing.T) {
			predicted, measured := predict(t, tt.method, 64, 12, 8, strings.Fields(tt.sets)...)
			for _, v := range []struct {
				name      string
				got, want int64
			}{
				{"peak", predicted.PeakBytes, measured.PeakBytes}, {"read", predicted.Streaming.ReadBytes, measured.ReadBytes},
				{"written", predicted.Streaming.WrittenBytes, measured.WrittenBytes},
			} {
				ratio := float64(v.got) / float64(v.want)
				t.Logf("%s: predicted %.2f MB, measured %.2f MB: %+.2f %%", v.name, float64(v.got)/1e6, float64(v.want)/1e6, 100*(ratio-1))
				if ratio < 0.95 || ratio > 1.05 {
					t.Errorf("%s: predicted %d bytes, measured %d", v.name, v.got, v.want)
				}
			}
		})
	}
}
