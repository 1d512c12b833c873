package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/study"
)

// studyProgress tells how a study comes on: a line a run that begins and ends and, on a terminal, a table below them that
// is drawn again and again.
type studyProgress struct {
	w    io.Writer
	r    *study.Runner
	live bool

	mu    sync.Mutex
	drawn int // lines of the table that stand on the terminal
}

func newStudyProgress(w io.Writer, r *study.Runner) *studyProgress {
	return &studyProgress{w: w, r: r, live: isTerminal(w) && os.Getenv("TERM") != "dumb"}
}

// Begin implements study.Watcher.
func (p *studyProgress) Begin(c study.Cell, resumed bool) {
	verb := "begins"
	if resumed {
		verb = "goes on"
	}
	p.say(fmt.Sprintf("%s %s", c.Name(), verb))
}

// End implements study.Watcher.
func (p *studyProgress) End(c study.Cell, o *study.Outcome) {
	if o.Failed != "" {
		p.say(fmt.Sprintf("%s failed: %s", c.Name(), o.Failed))
		return
	}
	p.say(fmt.Sprintf("%s done: last head %s %%, %s", c.Name(), percent(o.Summary.TestAcc), duration(o.Summary.Seconds)))
}

// say prints a line above the table.
func (p *studyProgress) say(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	fmt.Fprintln(p.w, show.Line(line))
}

func (p *studyProgress) erase() {
	if p.drawn > 0 {
		fmt.Fprintf(p.w, "\x1b[%dA\x1b[J", p.drawn)
		p.drawn = 0
	}
}

// drawInterval is between two looks at the runs under way.
const drawInterval = 5 * time.Second

// draw keeps the table up to date on a terminal until stop is called.
func (p *studyProgress) draw(ctx context.Context) (stop func()) {
	if !p.live {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(drawInterval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				p.redraw()
			}
		}
	}()
	return func() {
		cancel()
		<-done
		p.mu.Lock()
		defer p.mu.Unlock()
		p.erase()
	}
}

func (p *studyProgress) redraw() {
	rows, left := p.r.Progress()
	width, height := 80, 24
	if f, ok := p.w.(*os.File); ok {
		if w, h, err := term.GetSize(int(f.Fd())); err == nil && w > 0 && h > 0 {
			width, height = w, h
		}
	}
	out := progressTable(rows, left, max(1, p.r.Jobs), width, height)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	fmt.Fprintln(p.w, out)
	p.drawn = strings.Count(out, "\n") + 1
}

// around is how many lines of a progress table are no rows.
const around = 7

// progressTable has a row an arm, those under way first and as many as fit a terminal, and the time that is left below. No
// line is wider than the terminal, or the table could not be drawn over.
func progressTable(rows []study.Progress, left float64, jobs, width, height int) string {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Size.WidthMax = width
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b study.Progress) int { return cmp.Compare(min(b.Running, 1), min(a.Running, 1)) })
	more := ""
	if most := max(1, height-around); len(rows) > most {
		more = fmt.Sprintf("\narms not shown: %d", len(rows)-most)
		rows = rows[:most]
	}
	t.Style().Format.Header = text.FormatDefault
	t.AppendHeader(table.Row{"arm", "done", "failed", "running", "left", "step", "so far, %", "time left"})
	for _, p := range rows {
		step := "–"
		if p.Running > 0 {
			step = fmt.Sprintf("%d of %d", p.Step, p.Steps*p.Running)
		}
		t.AppendRow(table.Row{show.Name(p.Arm.Name), p.Done, p.Failed, p.Running, p.Left, step, p.Metric.Text(2), remaining(p.Seconds)})
	}
	return t.Render() + more + "\ntime left, " + fmt.Sprint(jobs) + " at a time: " + remaining(left/float64(jobs))
}

func remaining(seconds float64) string {
	if seconds <= 0 {
		return "–"
	}
	return duration(seconds)
}

// printStudy prints a report.
func printStudy(cmd *cobra.Command, rep *study.Report, out string) error {
	w := cmd.OutOrStdout()
	t := rep.Table()
	t.SetStyle(table.StyleDefault)
	if isTerminal(w) {
		t.SetStyle(table.StyleRounded)
	}
	t.Style().Format.Header = text.FormatDefault
	fmt.Fprintln(w, t.Render())
	for _, row := range rep.Rows {
		fmt.Fprintln(w, show.Line(row.Arm.Name+": "+rep.Verdict(row)))
	}
	for _, text := range rep.Missing() {
		fmt.Fprintln(w, show.Line(text))
	}
	if rep.Left > 0 {
		fmt.Fprintf(w, "%d runs are not done; the same command goes on with them\n", rep.Left)
	}
	return printColumns(w, []string{"report\t" + out + "/study.md", "table\t" + out + "/study.csv"})
}

// dryRun prints what is left of a study, by a few steps of every arm.
func dryRun(cmd *cobra.Command, r *study.Runner) error {
	costs, err := r.Costs(cmd.Context(), func(c study.Cost) {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %.3g s a step\n", show.Line(c.Arm), c.StepSeconds)
	})
	if err != nil {
		return err
	}
	var rows []table.Row
	var hours float64
	for _, c := range costs {
		hours += c.Hours
		rows = append(rows, table.Row{c.Arm, c.Cells, c.Steps, fmt.Sprintf("%.3g", c.StepSeconds), fmt.Sprintf("%.2f", c.Hours), mebibytes(c.PeakBytes), fmt.Sprintf("%.3g", c.PFLOP)})
	}
	w := cmd.OutOrStdout()
	header := table.Row{"arm", "runs left", "steps of a run", "s/step", "hours", "peak, MiB", "PFLOP a run"}
	if err := printTable(w, header, rows, 2); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%.2f hours of training in all on this machine, one run at a time; evaluation is not counted\n", hours)
	return err
}
