package model_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/safetensors"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// saved writes the weights of a small model and returns their path.
func saved(t *testing.T, change func(*model.Spec)) string {
	t.Helper()
	m, err := model.New(small(change))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	path := filepath.Join(t.TempDir(), "weights.safetensors")
	if err := safetensors.Write(path, model.Stored(m.Params()), nil); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t *testing.T, path string) *model.Weights {
	t.Helper()
	w, err := model.OpenWeights(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// A model is made of the weights of a file, bit for bit, whatever the seed; and none of a model's tensors is left out.
func TestNewWithWeights(t *testing.T) {
	for name, change := range map[string]func(*model.Spec){
		"sgr":  func(s *model.Spec) {},
		"etf":  func(s *model.Spec) { s.Net.Name, s.Net.Width, s.Net.Depth, s.Method.Name = "plain7", 4, 4, "etf" },
		"drtp": func(s *model.Spec) { s.Net.Name, s.Net.Width, s.Net.Depth, s.Method.Name = "plain7", 4, 4, "drtp" },
		"fa":   func(s *model.Spec) { s.Method.Name = "fa" },
		"vit": func(s *model.Spec) {
			s.Net.Name, s.Net.Width, s.Net.Depth, s.Net.Patch, s.Head.Name = "vit_ti", 12, 2, 4, "tokens"
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := saved(t, change)
			before := torch.LiveTensors()
			m, err := model.New(small(func(s *model.Spec) {
				change(s)
				s.Seed, s.Weights = 77, open(t, path)
			}))
			if err != nil {
				t.Fatal(err)
			}
			again := filepath.Join(t.TempDir(), "again.safetensors")
			if err := safetensors.Write(again, model.Stored(m.Params()), nil); err != nil {
				t.Fatal(err)
			}
			if want, got := tensors(t, path), tensors(t, again); !bytes.Equal(want, got) {
				t.Error("the model has other weights than the file")
			}
			if m.Spec.Weights != nil || m.Init.Stored != nil {
				t.Error("the model holds on to the file")
			}
			m.Free()
			if n := torch.LiveTensors() - before; n != 0 {
				t.Errorf("%d tensors are left", n)
			}
		})
	}
}

// tensors returns all elements of a file, one tensor behind the other.
func tensors(t *testing.T, path string) (all []byte) {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, name := range f.Names() {
		data, err := f.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(append(all, name...), data...)
	}
	return all
}

// A network that is not the file's is refused for its first parameter, before that is allocated.
func TestNewComparesBeforeItAllocates(t *testing.T) {
	path := saved(t, nil)
	for want, change := range map[string]func(*model.Spec){
		"conv1.weight":         func(s *model.Spec) { s.Net.Width = 4096 },
		"layer1.1":             func(s *model.Spec) { s.Net.Depth = 4094 },
		"fc.weight":            func(s *model.Spec) { s.Input.Classes = 100000 },
		"heads.1.conv.weight":  func(s *model.Spec) { s.Head.Width = 65536 },
		"heads.1.dense.weight": func(s *model.Spec) { s.Head.Name = "infopro" },
		"feedback.1":           func(s *model.Spec) { s.Method.Name = "fa" },
		"patch_embed": func(s *model.Spec) {
			s.Net = zoo.Options{Name: "vit_ti", Width: 4095, Patch: 4}
			s.Head.Name = "tokens"
		},
	} {
		before := torch.LiveTensors()
		torch.ResetPeak()
		start := torch.LiveBytes()
		_, err := model.New(small(func(s *model.Spec) {
			change(s)
			s.Weights = open(t, path)
		}))
		if !fault.Is(err) || !strings.HasPrefix(err.Error(), path) {
			t.Errorf("%s: want a fault that begins with the file, got %v", want, err)
		}
		t.Log(err)
		if peak := torch.PeakBytes() - start; peak > 1<<20 {
			t.Errorf("%s: %d bytes were allocated", want, peak)
		}
		if n := torch.LiveTensors() - before; n != 0 {
			t.Errorf("%s: %d tensors are left", want, n)
		}
	}
}

func TestWeightsRead(t *testing.T) {
	f32 := func(values ...float64) (b []byte) {
		for _, v := range values {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(v)))
		}
		return b
	}
	path := filepath.Join(t.TempDir(), "w.safetensors")
	err := safetensors.Write(path, []safetensors.Tensor{
		{Name: "good", DType: safetensors.F32, Shape: []int64{2}, Data: f32(1.5, -2)},
		{Name: "nan", DType: safetensors.F32, Shape: []int64{2}, Data: f32(1, math.NaN())},
		{Name: "short", DType: safetensors.I16, Shape: []int64{2}, Data: make([]byte, 4)},
		{Name: "half", DType: safetensors.F16, Shape: []int64{2}, Data: []byte{0, 0x3c, 0, 0xc1}},
		{Name: "module.weight", DType: safetensors.F32, Shape: []int64{2}, Data: f32(1, 2)},
		{Name: "bn.running_var", DType: safetensors.F32, Shape: []int64{2}, Data: f32(1, -2)},
		{Name: "bytes", DType: safetensors.U8, Shape: []int64{2}, Data: []byte{3, 4}},
		{Name: "a\x1bb", DType: safetensors.F32, Shape: []int64{3}, Data: f32(1, 2, 3)},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := open(t, path)
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	for _, tt := range []struct {
		name, want string
		values     [2]float64
	}{
		{"good", "", [2]float64{1.5, -2}},
		{"bytes", "type U8: must be a floating one", [2]float64{7, 7}},
		{"nan", "nan is not finite at element 1", [2]float64{7, 7}},
		{"half", "", [2]float64{1, -2.5}},
		{"short", "type I16: must be a floating one", [2]float64{7, 7}},
		{"none", "has no tensor none [2]", [2]float64{7, 7}},
		{"weight", "it has module.weight: take the prefix off", [2]float64{7, 7}},
		{"bn.running_var", "negative at element 1", [2]float64{7, 7}},
		{"a\x1bb", `tensor "a\x1bb" is [3], the network's is [2]`, [2]float64{7, 7}},
	} {
		to := s.Full(torch.Float32, 7, 2)
		err := w.Read(tt.name, to)
		if tt.want == "" && err != nil || tt.want != "" && (!fault.Is(err) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%q: want %q, got %v", tt.name, tt.want, err)
		}
		if got := to.Float64s(); got[0] != tt.values[0] || got[1] != tt.values[1] {
			t.Errorf("%q: %v, want %v", tt.name, got, tt.values)
		}
	}
	params := []*nn.Param{{Name: "good", Value: s.Full(torch.Float32, 7, 2)}, {Name: "none", Value: s.Full(torch.Float32, 7, 2)}}
	if err := w.Fill(params); !fault.Is(err) || params[0].Value.Float64s()[0] != 7 {
		t.Errorf("Fill: %v, and the first parameter is %v: want a fault and no change", err, params[0].Value.Float64s())
	}
}

// A tensor in channels-last is written in row-major order, and read into either layout.
func TestStoredIsRowMajor(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	values := make([]float32, 2*3*4*5)
	for i := range values {
		values[i] = float32(i)
	}
	plain := s.FromFloats(values, 2, 3, 4, 5)
	last := s.ChannelsLast(plain)
	path := filepath.Join(t.TempDir(), "w.safetensors")
	if err := safetensors.Write(path, []safetensors.Tensor{model.StoredTensor("a", plain), model.StoredTensor("b", last)}, nil); err != nil {
		t.Fatal(err)
	}
	w := open(t, path)
	for _, name := range []string{"a", "b"} {
		to := s.Full(torch.Float32, 0, 2, 3, 4, 5) // channels-last
		if err := w.Read(name, to); err != nil || !to.Equal(plain) {
			t.Errorf("%s came back otherwise: %v", name, err)
		}
	}
}

// InitFrom changes nothing unless all fits.
func TestInitFromIsAllOrNothing(t *testing.T) {
	path := saved(t, func(s *model.Spec) { s.Net.Width = 8 })
	m, err := model.New(small(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	first := m.Params()[0].Value.Data()
	if _, err := m.InitFrom(path); !fault.Is(err) || !strings.Contains(err.Error(), "conv1.weight") {
		t.Errorf("want a fault about conv1.weight, got %v", err)
	}
	if !bytes.Equal(first, m.Params()[0].Value.Data()) {
		t.Error("weights have changed")
	}
}
