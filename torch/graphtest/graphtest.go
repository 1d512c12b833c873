// Package graphtest tests that a device records its work as package torch says.
package graphtest

import (
	"slices"
	"testing"

	"github.com/locus-learn/locus/torch"
)

// Run tests a device that records.
func Run(t *testing.T, device torch.Device) {
	t.Run("launches repeat the work", func(t *testing.T) { repeats(t, device) })
	t.Run("gradients", func(t *testing.T) { gradients(t, device) })
	if device.IsCUDA() { // the test device records whoever computes
		t.Run("others go on", func(t *testing.T) { others(t, device) })
	}
	t.Run("one memory for two", func(t *testing.T) { beside(t, device) })
	t.Run("constants", func(t *testing.T) { constants(t, device) })
	t.Run("refusals", func(t *testing.T) { refuses(t, device) })
}

// A launch does to the tensors what the work would have done, every time on what is there then.
func repeats(t *testing.T, device torch.Device) {
	s := device.Scope(torch.NoGrad)
	defer s.Close()
	w, x := s.Full(torch.Float32, 0, 4, 3, 3, 3), s.Full(torch.Float32, 0, 2, 3, 5, 5)
	w.Normal(0, 1, 1)
	sum := s.Full(torch.Float32, 0, 2, 4, 5, 5)
	work := func(s *torch.Scope, sum torch.Tensor) torch.Tensor {
		y := s.Softmax(s.Scale(s.Conv2d(x, w, torch.Tensor{}, 1, 1), 2))
		s.AddInPlace(sum, y, 0.5)
		return s.SumRows(s.Reshape(y, 8, 25)).Keep()
	}
	for i := range uint64(2) {
		x.Normal(0, 1, 10+i)
		work(s, s.Clone(sum)).Free() // what libraries make when they are first used is made
	}
	before := sum.Float64s()
	var rows torch.Tensor
	g, err := device.Record(func() {
		inner := device.Scope(torch.NoGrad)
		defer inner.Close()
		rows = work(inner, sum)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Free()
	defer rows.Free()
	if !slices.Equal(sum.Float64s(), before) {
		t.Error("what is recorded has been done")
	}
	want := s.Clone(sum)
	for i := range uint64(3) {
		x.Normal(0, 1, 20+i)
		g.Launch()
		wantRows := work(s, want)
		if !slices.Equal(sum.Float64s(), want.Float64s()) || !slices.Equal(rows.Float64s(), wantRows.Float64s()) {
			t.Errorf("launch %d has other bits than the work", i)
		}
		wantRows.Free()
	}
}

func gradients(t *testing.T, device torch.Device) {
	s := device.Scope(torch.Grad)
	defer s.Close()
	w, x := s.Full(torch.Float32, 0, 6, 4), s.Full(torch.Float32, 0, 5, 4)
	labels := s.FromInts([]int64{0, 1, 2, 3, 5})
	w.Normal(0, 1, 1)
	w.SetRequiresGrad(true)
	work := func() torch.Tensor {
		s := device.Scope(torch.Grad)
		defer s.Close()
		loss := s.CrossEntropy(s.Linear(x, w, torch.Tensor{}), labels, 0)
		return s.Grad(loss, []torch.Tensor{w}, torch.GradOptions{})[0].Keep()
	}
	work().Free()
	var grad torch.Tensor
	g, err := device.Record(func() { grad = work() })
	if err != nil {
		t.Fatal(err)
	}
	defer g.Free()
	for i := range uint64(2) {
		x.Normal(0, 1, 30+i)
		g.Launch()
		if want := work(); !slices.Equal(grad.Float64s(), want.Float64s()) {
			t.Errorf("launch %d has another gradient", i)
		}
	}
}

// Other goroutines are not kept from what a recording must not have.
func others(t *testing.T, device torch.Device) {
	g, err := device.Record(func() {
		done := make(chan error)
		go func() {
			var err error
			defer func() { done <- err }()
			defer torch.Catch(&err)
			s := device.Scope(torch.NoGrad)
			defer s.Close()
			s.FromFloats([]float32{1}, 1).Normal(0, 1, 1)
		}()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	g.Free()
}

// Two graphs that work in the same memory do as they were recorded, in any order.
func beside(t *testing.T, device torch.Device) {
	s := device.Scope(torch.NoGrad)
	defer s.Close()
	x, sum := s.Full(torch.Float32, 0, 50, 40), s.Full(torch.Float32, 0, 50, 40)
	works := []func(s *torch.Scope, sum torch.Tensor){
		func(s *torch.Scope, sum torch.Tensor) { s.AddInPlace(sum, s.Softmax(s.Scale(x, 3)), 1) },
		func(s *torch.Scope, sum torch.Tensor) { s.AddInPlace(sum, s.Mul(s.Tanh(x), s.Scale(x, 2)), -1) },
	}
	want := s.Clone(sum)
	for _, work := range works { // what libraries make when they are first used is made
		work(s, s.Clone(sum))
	}
	var graphs [2]*torch.Graph
	for i, work := range works {
		var err error
		graphs[i], err = device.RecordBeside(graphs[0], func() {
			s := device.Scope(torch.NoGrad)
			defer s.Close()
			work(s, sum)
		})
		if err != nil {
			t.Fatal(err)
		}
		defer graphs[i].Free()
	}
	for i, which := range []int{0, 1, 1, 0, 1, 0, 0} {
		x.Normal(0, 1, uint64(i))
		graphs[which].Launch()
		works[which](s, want)
	}
	if !slices.Equal(sum.Float64s(), want.Float64s()) {
		t.Error("launches have other bits than the work")
	}
}

// A graph keeps what the engine keeps only for a while.
func constants(t *testing.T, device torch.Device) {
	s := device.Scope(torch.NoGrad)
	defer s.Close()
	qkv := s.Full(torch.Float32, 0, 8, 3*4)
	work := func() torch.Tensor {
		s := device.Scope(torch.NoGrad)
		defer s.Close()
		return s.Attention(qkv, torch.AttentionOptions{Tokens: 4, Heads: 2, Regions: []int64{0, 0, 1, 1}}).Keep()
	}
	work().Free()
	var out torch.Tensor
	g, err := device.Record(func() { out = work() })
	if err != nil {
		t.Fatal(err)
	}
	defer g.Free()
	defer out.Free()
	torch.FreeConstants()
	qkv.Normal(0, 1, 1)
	g.Launch()
	want := work()
	defer want.Free()
	if !slices.Equal(out.Float64s(), want.Float64s()) {
		t.Error("behind freed constants a launch has other bits")
	}
}

// What would be the same in every launch, and what waits, is refused. Afterwards the device works as before.
func refuses(t *testing.T, device torch.Device) {
	s := device.Scope(torch.NoGrad)
	defer s.Close()
	x := s.Full(torch.Float32, 2, 3)
	for _, tt := range []struct {
		name string
		work func(s *torch.Scope)
	}{
		{"numbers of the host", func(s *torch.Scope) { s.FromFloats([]float32{1, 2, 3}, 3) }},
		{"images", func(s *torch.Scope) {
			s.FromImages(torch.Float32, []byte{1, 2, 3, 4}, 1, 2, 2, 1, []float32{0}, []float32{1})
		}},
		{"a draw", func(s *torch.Scope) { x.Normal(0, 1, 1) }},
		{"a draw by a deviation", func(s *torch.Scope) { x.NormalBy(s.Number(s.Sum(x)), 1) }},
		{"dropout", func(s *torch.Scope) { s.Chance(x, 0.5, 1) }},
		{"a value", func(s *torch.Scope) { s.Sum(x).Item() }},
		{"a reading", func(s *torch.Scope) { x.Read().Free() }},
		{"elements", func(s *torch.Scope) { x.Data() }},
		{"a copy from the CPU", func(s *torch.Scope) { x.Copy(torch.CPU.Scope(torch.NoGrad).Full(torch.Float32, 1, 3)) }},
		{"a recording in a recording", func(s *torch.Scope) {
			if _, err := device.Record(func() {}); err != nil {
				panic(err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, err := device.Record(func() {
				s := device.Scope(torch.NoGrad)
				defer s.Close()
				s.AddInPlace(x, x, 1)
				tt.work(s)
			})
			if err == nil {
				g.Free()
				t.Fatal("it is recorded")
			}
			if x.Float64s()[0] != 2 {
				t.Error("what is refused has been done")
			}
		})
	}
	if s.AddInPlace(x, x, 1); x.Float64s()[0] != 4 {
		t.Error("the device does not work any more")
	}
}
