package record

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
)

func readLog(t *testing.T, path string) Log {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	log, err := ReadJSONL(f)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func openJSONL(t *testing.T, path string, resumeStep int) *JSONL {
	t.Helper()
	j, err := OpenJSONL(path, resumeStep)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestJSONLLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	step := Step{Step: 7, Epoch: 1, Loss: math.Inf(1), ModuleLoss: []float64{0.5, math.NaN()}, LR: 0.1, Seconds: 0.25, ImagesPerSecond: 512}
	feed(t, openJSONL(t, path, -1), Start{}, []Step{step}, nil)
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"event":"step","step":7,"epoch":1,"loss":null,"module_loss":[0.5,null],"lr":0.1,"seconds":0.25,"images_per_second":512}` + "\n"
	if string(got) != want {
		t.Errorf("line is\n%swant\n%s", got, want)
	}
}

func TestJSONLRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	want := Log{Steps: steps(20, 3, 5), Epochs: epochs(2, 3)}
	want.Epochs[0].ValAcc = new(0.0) // zero is a measurement, nil is none
	want.Epochs[1].ValAcc = new(math.NaN())
	want.Epochs[1].EMAAcc = []float64{60.5, math.NaN()}
	want.Epochs[1].TrainLoss = math.NaN()
	feed(t, openJSONL(t, path, -1), Start{}, want.Steps, want.Epochs)
	same(t, readLog(t, path), want)
}

func TestJSONLResume(t *testing.T) {
	all, ends := steps(20, 2, 5), epochs(2, 2)
	tests := []struct {
		name   string
		step   int
		damage string // appended to the file as a crash would
		steps  int    // that survive
		epochs int
	}{
		{"from the start", 0, "", 0, 0},
		{"between events", 12, "", 2, 1},
		{"keeps its own step", 10, "", 2, 1},
		{"after the end", 99, "", 4, 2},
		{"afresh", -1, "", 0, 0},
		{"torn line", 99, `{"event":"step","st`, 4, 2},
		{"line without its newline", 99, `{"event":"step","step":21}`, 5, 2},
		{"zeros after a power cut", 15, "\x00\x00\x00", 3, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "metrics.jsonl")
			feed(t, openJSONL(t, path, -1), Start{}, all, ends)
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			f.WriteString(tt.damage)
			f.Close()

			feed(t, openJSONL(t, path, tt.step), Start{}, []Step{{Step: 100}}, nil)
			log := readLog(t, path)
			if len(log.Steps) != tt.steps+1 || len(log.Epochs) != tt.epochs {
				t.Fatalf("%d steps and %d epochs, want %d and %d", len(log.Steps), len(log.Epochs), tt.steps+1, tt.epochs)
			}
			if last := log.Steps[tt.steps]; last.Step != 100 {
				t.Errorf("last step is %d, want the appended 100", last.Step)
			}
			same(t, log.Epochs, ends[:tt.epochs])
		})
	}
}

func TestJSONLFaults(t *testing.T) {
	if _, err := OpenJSONL(filepath.Join(t.TempDir(), "none", "metrics.jsonl"), -1); !fault.Is(err) {
		t.Errorf("missing folder: %v, want a fault", err)
	}
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	j := openJSONL(t, path, 50) // nothing to resume from
	feed(t, j, Start{}, steps(5, 1, 5), nil)

}

// What a loss of power leaves in the middle of a record must not make the rest of it, or the checkpoint, useless.
func TestJSONLPassesOverBrokenLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	for text, want := range map[string]struct{ steps, broken int }{
		"{}\n": {0, 1},
		"{\"event\":\"step\",\"step\":1}\nnonsense\n{}":            {1, 1},
		"{\"event\":\"stop\"}\n{\"event\":\"step\",\"step\":2}\n":  {1, 1},
		"{\"event\":\"step\",\"lr\":\"high\"}\n":                   {0, 1},
		"\n\n":                                                     {0, 2},
		"\x00\x00\x00\n{\"event\":\"step\",\"step\":3}\n":          {1, 1},
		"{\"event\":\"step\",\"step\":1}\n\x00\x00\x00\x00":        {1, 0},
		"{\"event\":\"st\x00\x00\n{\"event\":\"step\",\"step\":4}": {1, 1},
	} {
		log, err := ReadJSONL(strings.NewReader(text))
		if err != nil || len(log.Steps) != want.steps || log.Broken != want.broken {
			t.Errorf("%q: %d steps, %d broken lines, %v; want %+v", text, len(log.Steps), log.Broken, err, want)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		j := openJSONL(t, path, 5)
		if j.Broken() != want.broken {
			t.Errorf("%q: resumed with %d broken lines, want %d", text, j.Broken(), want.broken)
		}
		j.Close()
		if log := readLog(t, path); log.Broken != 0 || len(log.Steps) != want.steps {
			t.Errorf("%q: after resuming %d steps and %d broken lines", text, len(log.Steps), log.Broken)
		}
	}
}

func TestJSONLKnowsItsLastEpoch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	feed(t, openJSONL(t, path, -1), Start{}, steps(20, 2, 5), epochs(2, 2))
	want := 0
	for _, e := range epochs(2, 2) {
		want = e.Step
	}
	for step, last := range map[int]int{99: want, want: want, 0: 0, -1: 0} {
		feed(t, openJSONL(t, path+fmt.Sprint(step), -1), Start{}, steps(20, 2, 5), epochs(2, 2))
		j := openJSONL(t, path+fmt.Sprint(step), step)
		if got := j.LastEpoch(); got != last {
			t.Errorf("resumed at %d: last epoch ends at step %d, want %d", step, got, last)
		}
		j.Close()
	}
}

// FuzzReadJSONL holds that what was read can be written and read again unchanged, also with a torn line behind it, and that a
// broken line which is whole is counted.
func FuzzReadJSONL(f *testing.F) {
	for _, s := range steps(2, 2, 1) {
		line, _ := encode("step", s)
		f.Add(append(line, '\n'))
	}
	line, _ := encode("epoch", epochs(1, 2)[0])
	f.Add(line)
	f.Add([]byte(`{"event":"epoch","val_acc":null,"module_acc":[1,null]}` + "\n" + `{"ev`))
	f.Fuzz(func(t *testing.T, text []byte) {
		log, err := ReadJSONL(bytes.NewReader(text))
		if err != nil {
			t.Fatalf("error %v: want none, whatever the lines are", err)
		}
		if lines, events := bytes.Count(text, []byte("\n")), len(log.Steps)+len(log.Epochs)+len(log.Diagnoses)+log.Broken; events < lines || events > lines+1 {
			t.Fatalf("%d events from %d whole lines", events, lines)
		}
		var out bytes.Buffer
		for _, s := range log.Steps {
			line, err := encode("step", s)
			if err != nil {
				t.Fatal(err)
			}
			out.Write(append(line, '\n'))
		}
		for _, e := range log.Epochs {
			line, err := encode("epoch", e)
			if err != nil {
				t.Fatal(err)
			}
			out.Write(append(line, '\n'))
		}
		out.WriteString(`{"event":"step","step":1`)
		again, err := ReadJSONL(&out)
		if err != nil {
			t.Fatal(err)
		}
		log.Broken, log.Diagnoses = 0, nil // what was broken is not written again; diagnoses have a test of their own
		same(t, again, log)
	})
}
