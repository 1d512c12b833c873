package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"testing"
	"time"
)

// Under `make endurance` LOCUS_ENDURANCE is how many steps a run takes, and LOCUS_ENDURANCE_LOG gets a line for each run.
const (
	enduranceSteps = "LOCUS_ENDURANCE"
	enduranceLog   = "LOCUS_ENDURANCE_LOG"
)

// holdings is what a process holds at a moment.
type holdings struct {
	Resident    int `json:"resident"` // bytes
	Goroutines  int `json:"goroutines"`
	Descriptors int `json:"descriptors"`
	Threads     int `json:"threads"`
}

func held(t *testing.T) holdings {
	t.Helper()
	status := read(t, "/proc/self/status")
	number := func(key string) int {
		found := regexp.MustCompile(`(?m)^` + key + `:\s+(\d+)`).FindSubmatch(status)
		if found == nil {
			t.Fatalf("/proc/self/status has no %s", key)
		}
		n, _ := strconv.Atoi(string(found[1]))
		return n
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return holdings{number("VmRSS") * 1024, runtime.NumGoroutine(), len(open), number("Threads")}
}

func (h holdings) most(other holdings) holdings {
	return holdings{max(h.Resident, other.Resident), max(h.Goroutines, other.Goroutines), max(h.Descriptors, other.Descriptors), max(h.Threads, other.Threads)}
}

// endured is a line of the log: the most that a run held in the second fifth of its time and in the fourth. At its end it
// reads its own record, for the pictures.
type endured struct {
	Setting string   `json:"setting"`
	Steps   int      `json:"steps"`
	Early   holdings `json:"early"`
	Late    holdings `json:"late"`
}

// A long run holds no more at its end than it did when it had come to its pace: every setting with a memory of its own.
func TestEndurance(t *testing.T) {
	steps, growth := 100, 24<<20 // Go's heap and the allocator take some seconds to come to their pace
	if s := os.Getenv(enduranceSteps); s != "" {
		var err error
		if steps, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
		growth = 4<<20 + 50*steps // what is kept of an epoch, for the pictures: these runs have one in twenty steps
	}
	b, photos := newWorkbench(t), newPhotos(t)
	for i, m := range []setting{
		{name: "sgr in a pipeline, averaged", sets: []string{"method.pipeline=3", "optim.ema=0.9"}},
		{name: "bp in bfloat16", sets: []string{"method.name=bp", "method.modules=1", "precision=bf16"}},
		{name: "photographs", photos: true, sets: []string{"data.set=folder", "data.size=32", "data.augment=resized-crop", "data.workers=3"}},
		{name: "one module in memory", sets: []string{"method.resident=1", "method.visit=5"}},
		{name: "kept checkpoints, diagnoses", sets: []string{"checkpoint.keep=3", "diagnose.every=50", "diagnose.batch=4"}},
	} {
		t.Run(m.name, func(t *testing.T) {
			b := b
			if m.photos {
				b.data = photos
			}
			args := b.train(fmt.Sprint("run", i), "--steps", strconv.Itoa(steps))
			for _, s := range append([]string{"schedule.epochs=" + strconv.Itoa(steps), "data.batch=2", "optim.lr=0.001"}, m.sets...) {
				args = append(args, "--set", s)
			}
			var seen []holdings
			stop, done := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(done)
				for tick := time.Tick(50 * time.Millisecond); ; {
					select {
					case <-tick:
						seen = append(seen, held(t))
					case <-stop:
						return
					}
				}
			}()
			r := locus(t.Context(), args...)
			close(stop)
			<-done
			if r.code != 0 {
				t.Fatalf("exit code %d\n%s", r.code, r.err)
			}
			if len(seen) < 5 {
				t.Skipf("%d steps took no time to look at", steps)
			}
			e := endured{Setting: m.name, Steps: steps}
			for n, h := range seen {
				switch 5 * n / len(seen) {
				case 1:
					e.Early = e.Early.most(h)
				case 3:
					e.Late = e.Late.most(h)
				}
			}
			t.Logf("%+v", e)
			if e.Late.Resident > e.Early.Resident+growth {
				t.Errorf("resident memory grew from %d to %d bytes", e.Early.Resident, e.Late.Resident)
			}
			const passing = 4 // what comes and goes; a leak in each epoch or step is more by far
			if e.Late.Goroutines > e.Early.Goroutines+passing || e.Late.Descriptors > e.Early.Descriptors+passing || e.Late.Threads > e.Early.Threads+passing {
				t.Errorf("the run held %+v early and %+v late", e.Early, e.Late)
			}
			if path := os.Getenv(enduranceLog); path != "" {
				line, _ := json.Marshal(e)
				f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				fmt.Fprintf(f, "%s\n", line)
			}
		})
	}
}
