package record

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// diagnoses returns n of a run with so many modules.
func diagnoses(n, modules int) []Diagnosis {
	var out []Diagnosis
	for i := range n {
		d := Diagnosis{Step: 1 + 10*i, Epoch: 1}
		for k := range modules {
			v := float64(k+1) / float64(i+1)
			for _, list := range []*[]float64{
				&d.Loss, &d.SGRLoss, &d.SGRCos, &d.Epsilon, &d.GlobalNorm, &d.GlobalCos, &d.Gap, &d.Bound, &d.Within, &d.Shift, &d.ShiftTrain,
			} {
				*list = append(*list, v)
			}
			d.ShiftTrain[k] = float64(k) - float64(i) // below zero later
			d.Epsilon[k] *= 0.5
		}
		for _, first := range [][]float64{d.SGRLoss, d.SGRCos, d.Shift, d.ShiftTrain} {
			first[0] = math.NaN()
		}
		d.Gap[modules-1], d.Bound[modules-1] = math.NaN(), math.NaN()
		out = append(out, d)
	}
	return out
}

func TestDiagnosesRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	want := diagnoses(3, 2)
	j := openJSONL(t, path, -1)
	for _, d := range want {
		if err := j.Diagnosis(d); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	same(t, readLog(t, path).Diagnoses, want)
	if err := openJSONL(t, path, 11).Close(); err != nil { // resumed behind the second
		t.Fatal(err)
	}
	same(t, readLog(t, path).Diagnoses, want[:2])
}

func TestDiagnosesOnTensorBoard(t *testing.T) {
	dir := t.TempDir()
	board, err := OpenTensorBoard(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := board.Diagnosis(diagnoses(1, 2)[0]); err != nil {
		t.Fatal(err)
	}
	if err := board.Close(); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "events*"))
	got := readEvents(t, files[0])[1].scalars
	for tag, want := range map[string]float32{
		"diagnosis/loss/module_02": 2, "diagnosis/epsilon/module_01": 0.5, "diagnosis/tightness/module_01": 1, "diagnosis/shift_train/module_02": 1,
	} {
		if v, ok := got[tag]; !ok || v != want {
			t.Errorf("%s is %v, want %v", tag, v, want)
		}
	}
	if _, ok := got["diagnosis/shift/module_01"]; ok {
		t.Error("a point for NaN")
	}
}

func TestDiagnosisTable(t *testing.T) {
	table := DiagnosisTable(diagnoses(4, 3))
	// ΔL of module 2 is 1, 0, −1, −2: the mean is −0.5, half of them are below zero.
	for _, text := range []string{"Step 31", "4 diagnoses", "| 2 | 0.5 | 0.5 | 0.5 | -0.5 | 50 |", "| 1 | 0.25 | – | – | – | – |"} {
		if !strings.Contains(table, text) {
			t.Errorf("no %q in\n%s", text, table)
		}
	}
}

func TestPlotDiagnosisAndFigures(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "plots"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := PlotDiagnosis(dir, diagnoses(3, 16)); err != nil {
		t.Fatal(err)
	}
	got := labels(t, filepath.Join(dir, "plots", "diagnosis.svg"))
	for _, text := range []string{"Theorem 3.3", "Sec. 3.2", "Separability", "module 16"} {
		if !strings.Contains(got, text) {
			t.Errorf("no %q among\n%s", text, got)
		}
	}
	with := epochs(2, 4)
	for i := range with {
		with[i].TestLoss, with[i].TrainAcc = new(1.5), new(50.0)
	}
	runs := []Series{
		{Name: "sgr", Epochs: with, Diagnoses: diagnoses(3, 4)},
		{Name: "bp", Epochs: with, Diagnoses: diagnoses(3, 1)}, // nothing to agree with
		{Name: "plain", Epochs: epochs(2, 4)},
	}
	if err := PlotFigures(dir, runs); err != nil {
		t.Fatal(err)
	}
	for name, texts := range map[string][]string{
		"agreement": {"mean over neighbours", "Test accuracy", "sgr"},
		"shift":     {"module 2 by", "module 3 by", "module 4 by", "plain"},
		"curves":    {"Training loss", "Training accuracy", "Test loss", "Test accuracy"},
	} {
		got := labels(t, filepath.Join(dir, name+".svg"))
		for _, text := range texts {
			if !strings.Contains(got, text) {
				t.Errorf("%s: no %q among\n%s", name, text, got)
			}
		}
	}
	empty := t.TempDir()
	if err := PlotFigures(empty, runs[2:]); err != nil {
		t.Fatal(err)
	}
	if files, _ := os.ReadDir(empty); len(files) > 0 {
		t.Errorf("pictures of what was not measured: %v", files)
	}
}
