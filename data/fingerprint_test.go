package data

import "testing"

func TestFingerprint(t *testing.T) {
	build := func() Memory {
		return Memory{
			Shape: Shape{C: 1, H: 1, W: 2}, Classes: []string{"a", "b"},
			Train:      Table{Bytes: []byte{1, 2, 3, 4, 5, 6}, Labels: []int64{0, 1, 1}},
			Validation: Table{Bytes: []byte{7, 8}, Labels: []int64{1}},
			Test:       Table{Bytes: []byte{9, 9}, Labels: []int64{0}},
		}
	}
	of := func(m Memory) Fingerprint {
		s, err := m.Source()
		if err != nil {
			t.Fatal(err)
		}
		return FingerprintOf(s)
	}
	want := of(build())
	if d := of(build()).Differ(want); d != "" {
		t.Errorf("the same set differs in %s", d)
	}
	if d := want.Differ(Fingerprint{}); d != "" {
		t.Errorf("a set differs in %s from one without fingerprint", d)
	}
	for name, c := range map[string]struct {
		change func(*Memory)
		want   string
	}{
		"a class renamed":      {func(m *Memory) { m.Classes[1] = "c" }, "classes"},
		"classes swapped":      {func(m *Memory) { m.Classes[0], m.Classes[1] = "b", "a" }, "classes"},
		"a class more":         {func(m *Memory) { m.Classes = append(m.Classes, "c") }, "classes"},
		"a label changed":      {func(m *Memory) { m.Train.Labels[0] = 1 }, "training samples"},
		"a value changed":      {func(m *Memory) { m.Train.Bytes[5] = 7 }, "training samples"},
		"samples swapped":      {func(m *Memory) { copy(m.Train.Bytes[2:], []byte{5, 6, 3, 4}) }, "training samples"},
		"a sample less":        {func(m *Memory) { m.Train = Table{Bytes: m.Train.Bytes[:4], Labels: m.Train.Labels[:2]} }, "training samples"},
		"no validation":        {func(m *Memory) { m.Validation = Table{} }, "validation samples"},
		"a test value changed": {func(m *Memory) { m.Test.Bytes[0] = 8 }, "test samples"},
		"other numbers": {func(m *Memory) {
			m.Train = Table{Floats: []float32{1, 2, 3, 4, 5, 6}, Labels: m.Train.Labels}
			m.Validation, m.Test = Table{}, Table{}
		}, "training samples"},
	} {
		m := build()
		c.change(&m)
		if d := of(m).Differ(want); d != c.want {
			t.Errorf("%s: differs in %q, want %q", name, d, c.want)
		}
	}
}
