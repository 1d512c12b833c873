package record

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
)

func TestProgressLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		p := NewProgress(&out, false)
		p.Start(Start{Name: "quick", Method: "sgr", Steps: 40, StepsPerEpoch: 20, First: 10})
		for _, s := range steps(40, 2, 1)[10:] {
			s.Epoch = 1 + (s.Step-1)/20
			time.Sleep(time.Second)
			p.Step(s)
			if s.Step%20 == 0 {
				p.Epoch(Epoch{Epoch: s.Epoch, Step: s.Step, TrainLoss: 0.5, TestAcc: 71.25, ModuleAcc: []float64{60, 71.25},
					EMAAcc: []float64{61, 71.75}, ValAcc: new(70.5), ImagesPerSecond: 512, PeakBytes: 3 << 20})
			}
		}
		p.Close()
		want := `quick: method sgr, 40 steps, 20 an epoch, resumed after step 10
step 12/40  epoch 1/2  loss 1.4816  512 images/s  ETA 28s
step 16/40  epoch 1/2  loss 1.3406  512 images/s  ETA 24s
epoch 1/2  train loss 0.5000  test 71.25 %  heads 60.0 71.2  averaged 71.75 %  validation 70.50 %  512 images/s  peak 3.0 MiB
step 24/40  epoch 2/2  loss 1.0976  512 images/s  ETA 16s
step 28/40  epoch 2/2  loss 0.9932  512 images/s  ETA 12s
step 32/40  epoch 2/2  loss 0.8987  512 images/s  ETA 8s
step 36/40  epoch 2/2  loss 0.8131  512 images/s  ETA 4s
epoch 2/2  train loss 0.5000  test 71.25 %  heads 60.0 71.2  averaged 71.75 %  validation 70.50 %  512 images/s  peak 3.0 MiB
`
		if out.String() != want {
			t.Errorf("got\n%swant\n%s", &out, want)
		}
	})
}

func TestProgressControlCharacters(t *testing.T) {
	start := Start{Name: "quick", Method: "sgr", Steps: 1000, StepsPerEpoch: 10}
	for _, terminal := range []bool{false, true} {
		var out strings.Builder
		feed(t, NewProgress(&out, terminal), start, steps(1000, 2, 1), epochs(100, 2))
		control := strings.ContainsFunc(out.String(), func(r rune) bool { return r != '\n' && unicode.IsControl(r) })
		if control != terminal {
			t.Errorf("terminal %v: control characters %v", terminal, control)
		}
		if lines := strings.Count(out.String(), "\n"); lines < 101 || lines > 111 {
			t.Errorf("terminal %v: %d lines, want one an epoch and at most one a tenth", terminal, lines)
		}
		if !strings.Contains(out.String(), "epoch 100/100  train loss 0.0100  test 90.00 %  heads 89.0 90.0") {
			t.Errorf("terminal %v: the last epoch's line is missing", terminal)
		}
	}
}

func TestProgressOfAnEmptyRun(t *testing.T) {
	for _, terminal := range []bool{false, true} {
		feed(t, NewProgress(&strings.Builder{}, terminal), Start{}, nil, nil)
		feed(t, NewProgress(&strings.Builder{}, terminal), Start{Steps: 5, StepsPerEpoch: 9, First: 5}, steps(8, 1, 1), nil)
		if err := NewProgress(nil, terminal).Close(); err != nil {
			t.Errorf("closing before the start: %v", err)
		}
	}
}

func TestDescriptionLeavesRoomForTheBar(t *testing.T) {
	texts := []string{"sgr 1/2  loss 0.5000  100 images/s  ETA 3m", "sgr 1/2  ETA 3m", "sgr"}
	for columns, want := range map[int]string{0: texts[0], 200: texts[0], 62: texts[0], 61: texts[1], 35: texts[1], 34: texts[2], 3: texts[2]} {
		if got := fitting(columns, texts...); got != want {
			t.Errorf("%d columns: %q, want %q", columns, got, want)
		}
	}
}
