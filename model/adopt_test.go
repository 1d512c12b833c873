package model_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/safetensors"
	"github.com/locus-learn/locus/torch"
)

// little is a spec of a small network of a family, by back-propagation.
func little(name string, width, depth, side, classes int) model.Spec {
	s := model.Defaults()
	s.Net.Name, s.Net.Width, s.Net.Depth, s.Method.Name, s.Inference = name, width, depth, "bp", true
	s.Input = model.Input{Shape: nn.Shape{C: 3, H: side, W: side}, Classes: classes}
	return s
}

func built(t *testing.T, s model.Spec) *model.Model {
	t.Helper()
	m, err := model.New(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Free)
	return m
}

// renamed writes a model's weights under other names; rename may split one tensor in several along its first dimension, or
// leave it out.
func renamed(t *testing.T, m *model.Model, rename func(name string) []string) string {
	t.Helper()
	var tensors []safetensors.Tensor
	for _, p := range m.Params() {
		names, shape, data := rename(p.Name), p.Value.Shape(), p.Value.Data()
		for i, name := range names {
			part := slices.Clone(shape)
			if len(names) > 1 {
				part[0] /= int64(len(names))
			}
			size := len(data) / len(names)
			dtype := safetensors.F32
			if p.Value.DType() == torch.Int64 {
				dtype = safetensors.I64
			}
			tensors = append(tensors, safetensors.Tensor{Name: name, DType: dtype, Shape: part, Data: data[i*size : (i+1)*size]})
		}
	}
	path := filepath.Join(t.TempDir(), "other.safetensors")
	if err := safetensors.Write(path, tensors, nil); err != nil {
		t.Fatal(err)
	}
	return path
}

// sameParams wants two models to have the same values, but for those named.
func sameParams(t *testing.T, got, want *model.Model, but ...string) {
	t.Helper()
	for i, p := range want.Params() {
		if !slices.Contains(but, p.Name) && !p.Value.Equal(got.Params()[i].Value) {
			t.Errorf("%s differs", p.Name)
		}
	}
}

// replaced returns a rename by pairs of texts, of which qkv becomes three names.
func replaced(pairs ...string) func(string) []string {
	r := strings.NewReplacer(pairs...)
	return func(name string) []string {
		name = r.Replace(name)
		if !strings.Contains(name, "QKV") {
			return []string{name}
		}
		return []string{strings.Replace(name, "QKV", "query", 1), strings.Replace(name, "QKV", "key", 1), strings.Replace(name, "QKV", "value", 1)}
	}
}

// swinTo numbers the zoo's features as other libraries number stages: blocks in stages, and what merges patches.
func swinTo(block func(stage, rest string) []string, merge func(stage int, rest string) []string, rest func(string) []string) func(string) []string {
	return func(name string) []string {
		var place int
		if n, _ := fmt.Sscanf(name, "features.%d.", &place); n == 0 || place == 0 {
			return rest(name)
		}
		_, after, _ := strings.Cut(strings.TrimPrefix(name, "features."), ".")
		if place%2 == 1 {
			return block(fmt.Sprint(place/2), after)
		}
		return merge(place/2-1, after)
	}
}

func TestNamesOfOtherLibraries(t *testing.T) {
	hfSwin := replaced("attn.qkv", "attention.self.QKV", "attn.relative", "attention.self.relative", "attn.proj", "attention.output.dense", "norm1", "layernorm_before",
		"norm2", "layernorm_after", "mlp.0", "intermediate.dense", "mlp.3", "output.dense")
	timmSwin := strings.NewReplacer("mlp.0", "mlp.fc1", "mlp.3", "mlp.fc2")
	vit, swin, resnet := little("vit_ti", 24, 2, 48, 5), little("swin_t", 24, 8, 32, 5), little("resnet50", 8, 0, 32, 5)
	for name, c := range map[string]struct {
		spec   model.Spec
		rename func(string) []string
		told   string
	}{
		"module and compiled": {resnet, func(n string) []string { return []string{"module._orig_mod." + n} }, "without module., without _orig_mod."},
		"model":               {vit, func(n string) []string { return []string{"model." + n} }, "without model."},
		"backbone":            {swin, func(n string) []string { return []string{"backbone." + n} }, "without backbone."},
		"Hugging Face ViT": {vit, replaced("cls_token", "vit.embeddings.cls_token", "pos_embed", "vit.embeddings.position_embeddings",
			"patch_embed.proj", "vit.embeddings.patch_embeddings.projection", "blocks.", "vit.encoder.layer.", "attn.qkv", "attention.attention.QKV",
			"attn.proj", "attention.output.dense", "mlp.fc1", "intermediate.dense", "mlp.fc2", "output.dense", "norm1", "layernorm_before",
			"norm2", "layernorm_after", "norm.", "vit.layernorm.", "head.", "classifier."), "Hugging Face, ViT"},
		"torchvision ViT": {vit, replaced("cls_token", "class_token", "pos_embed", "encoder.pos_embedding", "patch_embed.proj", "conv_proj",
			"blocks.", "encoder.layers.encoder_layer_", "attn.qkv.", "self_attention.in_proj_", "attn.proj", "self_attention.out_proj",
			"mlp.fc1", "mlp.0", "mlp.fc2", "mlp.3", "norm1", "ln_1", "norm2", "ln_2", "norm.", "encoder.ln.", "head.", "heads.head."), "torchvision, ViT"},
		"Hugging Face ResNet": {resnet, func(n string) []string {
			var stage, block, conv int
			for _, f := range []struct{ from, to string }{{"conv", "convolution"}, {"bn", "normalization"}} {
				if k, _ := fmt.Sscanf(n, "layer%d.%d."+f.from+"%d.", &stage, &block, &conv); k == 3 {
					_, rest, _ := strings.Cut(n, f.from+fmt.Sprint(conv)+".")
					return []string{fmt.Sprintf("resnet.encoder.stages.%d.layers.%d.layer.%d.%s.%s", stage-1, block, conv-1, f.to, rest)}
				}
			}
			if k, _ := fmt.Sscanf(n, "layer%d.%d.downsample.%d.", &stage, &block, &conv); k == 3 {
				_, rest, _ := strings.Cut(n, fmt.Sprintf("downsample.%d.", conv))
				return []string{fmt.Sprintf("resnet.encoder.stages.%d.layers.%d.shortcut.%s.%s", stage-1, block, []string{"convolution", "normalization"}[conv], rest)}
			}
			return replaced("conv1.", "resnet.embedder.embedder.convolution.", "bn1.", "resnet.embedder.embedder.normalization.", "fc.", "classifier.1.")(n)
		}, "Hugging Face, ResNet"},
		"Hugging Face Swin": {swin, swinTo(
			func(stage, rest string) []string { return hfSwin("swin.encoder.layers." + stage + ".blocks." + rest) },
			func(stage int, rest string) []string {
				return []string{fmt.Sprintf("swin.encoder.layers.%d.downsample.%s", stage, rest)}
			},
			replaced("features.0.0", "swin.embeddings.patch_embeddings.projection", "features.0.2", "swin.embeddings.norm", "norm.", "swin.layernorm.", "head.", "classifier.")), "Hugging Face, Swin"},
		"timm Swin of old": {swin, swinTo(
			func(stage, rest string) []string {
				return []string{timmSwin.Replace("layers." + stage + ".blocks." + rest)}
			},
			func(stage int, rest string) []string {
				return []string{fmt.Sprintf("layers.%d.downsample.%s", stage, rest)}
			},
			replaced("features.0.0", "patch_embed.proj", "features.0.2", "patch_embed.norm")), "timm, Swin"},
		"timm Swin of today": {swin, swinTo(
			func(stage, rest string) []string {
				return []string{timmSwin.Replace("layers." + stage + ".blocks." + rest)}
			},
			func(stage int, rest string) []string {
				return []string{fmt.Sprintf("layers.%d.downsample.%s", stage+1, rest)}
			},
			replaced("features.0.0", "patch_embed.proj", "features.0.2", "patch_embed.norm", "head.", "head.fc.")), "timm, Swin"},
	} {
		t.Run(name, func(t *testing.T) {
			from := built(t, c.spec)
			c.spec.Seed = 9
			to := built(t, c.spec)
			a, err := to.InitFrom(renamed(t, from, c.rename))
			if err != nil {
				t.Fatal(err)
			}
			sameParams(t, to, from)
			if told := strings.Join(a.Names, ", "); !strings.Contains(told, c.told) || len(a.Fresh)+len(a.Resized)+len(a.Left) > 0 {
				t.Errorf("names %q, fresh %q, resized %q, left %q", told, a.Fresh, a.Resized, a.Left)
			}
		})
	}
}

// Swin's tables of another window are resized to ours, whatever index the file has: rows that are alike stay as they are.
func TestOtherWindows(t *testing.T) {
	const window, mine = 12, 7
	m := built(t, little("swin_t", 24, 8, 32, 5))
	var tensors []safetensors.Tensor
	want := map[string][]float32{}
	for _, p := range m.Params() {
		tensor := safetensors.Tensor{Name: p.Name, DType: safetensors.F32, Shape: p.Value.Shape(), Data: p.Value.Data()}
		switch {
		case strings.HasSuffix(p.Name, ".relative_position_index"):
			tensor.DType, tensor.Shape, tensor.Data = safetensors.I64, []int64{window * window * window * window}, make([]byte, 8*window*window*window*window)
		case strings.HasSuffix(p.Name, ".relative_position_bias_table"):
			heads := int(p.Value.Shape()[1])
			tensor.Shape, tensor.Data = []int64{(2*window - 1) * (2*window - 1), int64(heads)}, nil
			row := make([]byte, 0, 4*heads)
			for head := range heads {
				row = binary.LittleEndian.AppendUint32(row, math.Float32bits(float32(head)-1.5))
			}
			tensor.Data = bytes.Repeat(row, (2*window-1)*(2*window-1))
			for range (2*mine - 1) * (2*mine - 1) {
				for head := range heads {
					want[p.Name] = append(want[p.Name], float32(head)-1.5)
				}
			}
		}
		tensors = append(tensors, tensor)
	}
	path := filepath.Join(t.TempDir(), "window12.safetensors")
	if err := safetensors.Write(path, tensors, nil); err != nil {
		t.Fatal(err)
	}
	a, err := m.InitFrom(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(want) != 8 || len(a.Resized) != 8 || !strings.Contains(a.Resized[0], "relative_position_bias_table [529 ") || len(a.Fresh)+len(a.Left) != 0 {
		t.Errorf("%d tables; resized %q, fresh %q, left %q", len(want), a.Resized, a.Fresh, a.Left)
	}
	for _, p := range m.Params() {
		values := p.Value.Float64s()
		for i, v := range want[p.Name] {
			if math.Abs(values[i]-float64(v)) > 1e-5 {
				t.Fatalf("%s: value %d is %g, want %g", p.Name, i, values[i], v)
			}
		}
	}
}

func TestOtherClassesAndSizes(t *testing.T) {
	plain := func(n string) []string { return []string{n} }
	from := built(t, little("vit_ti", 24, 2, 48, 5))
	s := little("vit_ti", 24, 2, 80, 7)
	s.Seed = 2
	to := built(t, s)
	before := map[string][]byte{}
	for _, p := range to.Params() {
		before[p.Name] = p.Value.Data()
	}
	a, err := to.InitFrom(renamed(t, from, plain))
	if err != nil {
		t.Fatal(err)
	}
	sameParams(t, built(t, little("vit_ti", 24, 2, 48, 5)), from)
	lines := strings.Join(a.Lines(), "\n")
	for _, want := range []string{"resized\t1: pos_embed [1 10 24] → [1 26 24]", "fresh\t2: head.weight (7 classes, the file has 5); head.bias", "left over\t0"} {
		if !strings.Contains(lines, want) {
			t.Errorf("want %q in\n%s", want, lines)
		}
	}
	for _, p := range to.Params() {
		if same := slices.Equal(p.Value.Data(), before[p.Name]); same != strings.HasPrefix(p.Name, "head.") && !strings.Contains(p.Name, "norm") && !strings.HasSuffix(p.Name, "bias") {
			t.Errorf("%s: unchanged is %v", p.Name, same)
		}
	}
	// Without its classifier, as base models are published.
	headless := renamed(t, from, func(n string) []string {
		if strings.HasPrefix(n, "head.") {
			return nil
		}
		return []string{n}
	})
	if a, err = to.InitFrom(headless); err != nil || len(a.Fresh) != 2 || !strings.Contains(a.Fresh[0], "none") {
		t.Errorf("without a classifier: %v, %v", a.Fresh, err)
	}
	// What is no classifier must fit.
	if _, err := built(t, little("vit_ti", 48, 2, 80, 7)).InitFrom(headless); !fault.Is(err) || !strings.Contains(err.Error(), "cls_token") {
		t.Errorf("another width: %v", err)
	}
	if _, err := built(t, little("vit_ti", 24, 1, 80, 7)).InitFrom(headless); !fault.Is(err) || !strings.Contains(err.Error(), "blocks.1") {
		t.Errorf("another depth: %v", err)
	}
}

func TestBicubicIsPyTorchs(t *testing.T) {
	var golden struct {
		Values []float32
		Cases  map[string][]float32
	}
	text, err := os.ReadFile("testdata/bicubic.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	for _, size := range slices.Sorted(maps.Keys(golden.Cases)) {
		var h, w int
		if _, err := fmt.Sscanf(size, "%dx%d", &h, &w); err != nil {
			t.Fatal(err)
		}
		got := model.Bicubic(golden.Values, 5, 4, h, w, 2)
		for i, want := range golden.Cases[size] {
			if d := got[i] - want; d > 1e-5 || d < -1e-5 {
				t.Errorf("%s, element %d: %g, want %g", size, i, got[i], want)
			}
		}
	}
}
