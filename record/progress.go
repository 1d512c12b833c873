package record

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/schollz/progressbar/v3"

	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/internal/terminal"
)

// Progress is the sink that people watch. On a terminal it draws a live bar; elsewhere it prints a line about every tenth of the
// run. Both print a line for every epoch. It never fails: a run must not end because nobody watches it any more.
type Progress struct {
	w     io.Writer
	bar   *progressbar.ProgressBar // nil when w is no terminal
	run   Start
	began time.Time
	tenth int // of the run, the last one reported as a line

	terminal bool
}

// NewProgress reports to w, which stays the caller's; terminal says whether w understands control characters.
func NewProgress(w io.Writer, terminal bool) *Progress {
	return &Progress{w: w, terminal: terminal}
}

// Start announces the run.
func (p *Progress) Start(s Start) error {
	p.run, p.began = s, time.Now()
	p.tenth = p.tenthOf(s.First)
	from := ""
	if s.First > 0 {
		from = fmt.Sprintf(", resumed after step %d", s.First)
	}
	fmt.Fprintf(p.w, "%s: method %s, %d steps, %d an epoch%s\n", show.Name(s.Name), s.Method, s.Steps, s.StepsPerEpoch, from)
	if p.terminal {
		p.bar = progressbar.NewOptions(max(s.Steps, 1), // 0 would be an error, -1 a spinner
			progressbar.OptionSetWriter(p.w),
			progressbar.OptionSetWidth(24),
			progressbar.OptionSetPredictTime(false), // it takes the steps before a resume for steps of this run
			progressbar.OptionUseANSICodes(true),
			progressbar.OptionSetTheme(progressbar.Theme{Saucer: "█", SaucerPadding: "░"}),
			progressbar.OptionSetDescription(s.Method),
			progressbar.OptionThrottle(100*time.Millisecond))
		p.bar.Set(s.First)
	}
	return nil
}

// Step moves the bar, or prints a line if the run has entered another tenth.
func (p *Progress) Step(s Step) error {
	eta := p.eta(s.Step)
	speed := fmt.Sprintf("loss %.4f  %s images/s  ETA %s", s.Loss, short(s.ImagesPerSecond), eta)
	if p.bar != nil {
		epoch := fmt.Sprintf("%s %d/%d", p.run.Method, s.Epoch, p.epochs())
		p.bar.Describe(fitting(terminal.Columns(p.w), epoch+"  "+speed,
			fmt.Sprintf("%s  loss %.4f  ETA %s", epoch, s.Loss, eta), fmt.Sprintf("%s  ETA %s", epoch, eta), p.run.Method) + " ")
		p.bar.Set(min(s.Step, p.run.Steps))
		return nil
	}
	if tenth := p.tenthOf(s.Step); tenth > p.tenth {
		p.tenth = tenth
		if p.run.StepsPerEpoch == 0 || s.Step%p.run.StepsPerEpoch != 0 { // the epoch's own line comes next
			fmt.Fprintf(p.w, "step %d/%d  epoch %d/%d  %s\n", s.Step, p.run.Steps, s.Epoch, p.epochs(), speed)
		}
	}
	return nil
}

// fitting returns the first of texts that leaves room for a bar on a line of so many characters, or the last; 0 is any number.
func fitting(columns int, texts ...string) string {
	const bar = 20 // with what stands around it
	for _, text := range texts {
		if columns == 0 || utf8.RuneCountInString(text)+bar <= columns {
			return text
		}
	}
	return texts[len(texts)-1]
}

// Epoch prints the epoch's results, above the bar if there is one.
func (p *Progress) Epoch(e Epoch) error {
	if p.bar != nil {
		p.bar.Clear()
		defer p.bar.RenderBlank()
	}
	test := "test"
	if e.Measure != "" {
		test += " " + e.Measure
	}
	line := fmt.Sprintf("epoch %d/%d  train loss %.4f  %s %s %%", e.Epoch, p.epochs(), e.TrainLoss, test, percent(e.TestAcc, 2))
	if len(e.ModuleAcc) > 1 {
		line += "  heads " + joinPercent(e.ModuleAcc)
	}
	for _, name := range e.Scores.names() {
		line += fmt.Sprintf("  %s %s", name, e.Scores.last(name))
	}
	if n := len(e.EMAAcc); n > 0 {
		line += fmt.Sprintf("  averaged %s %%", percent(e.EMAAcc[n-1], 2))
	}
	if e.ValAcc != nil {
		line += fmt.Sprintf("  validation %.2f %%", *e.ValAcc)
	}
	fmt.Fprintf(p.w, "%s  %s images/s  peak %s MiB\n", line, short(e.ImagesPerSecond), mebibytes(e.PeakBytes))
	return nil
}

// Diagnosis prints nothing: it is for the pictures.
func (p *Progress) Diagnosis(Diagnosis) error { return nil }

// Close removes the bar; the lines stay.
func (p *Progress) Close() error {
	if p.bar != nil {
		p.bar.Clear()
		p.bar.Exit()
	}
	return nil
}

func (p *Progress) tenthOf(step int) int { return 10 * step / max(p.run.Steps, 1) }

func (p *Progress) epochs() int {
	each := max(p.run.StepsPerEpoch, 1)
	return (p.run.Steps + each - 1) / each
}

// eta expects the rest of the run to go as its steps did since Start, evaluation included.
func (p *Progress) eta(step int) time.Duration {
	done, left := step-p.run.First, p.run.Steps-step
	if done <= 0 || left <= 0 {
		return 0
	}
	perStep := time.Since(p.began).Seconds() / float64(done)
	return seconds(perStep * float64(left))
}

// seconds turns x into a duration that is short to read.
func seconds(x float64) time.Duration {
	d := time.Duration(x * float64(time.Second))
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Second)
}

func short(x float64) string {
	if x < 10 {
		return fmt.Sprintf("%.2g", x)
	}
	return fmt.Sprintf("%.0f", x)
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f", float64(n)/(1<<20)) }

func joinPercent(acc []float64) string {
	var texts []string
	for _, x := range acc {
		texts = append(texts, percent(x, 1))
	}
	return strings.Join(texts, " ")
}

// percent writes an accuracy; heads that give no answer have none.
func percent(x float64, digits int) string {
	if math.IsNaN(x) {
		return "–"
	}
	return strconv.FormatFloat(x, 'f', digits, 64)
}
