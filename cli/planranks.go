package cli

import (
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/locus-learn/locus/internal/cluster"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/plan"
	"github.com/locus-learn/locus/record"
	"github.com/locus-learn/locus/torch"
)

// mostRanks is far above what the model of a cluster is good for; mostParts is into how many parts a pipeline divides a batch.
const (
	mostRanks = 4096
	mostParts = 64
)

// scaled is how long a batch takes on many devices.
type scaled struct {
	Model     string      `json:"model"`
	Image     int         `json:"image"`
	Batch     int         `json:"batch"`
	Precision string      `json:"precision"`
	Link      float64     `json:"link_gbits"`
	Latency   float64     `json:"latency_seconds"`
	Faster    float64     `json:"faster"`
	Seconds   float64     `json:"bp_seconds"` // of a batch on one device
	Rows      []scaledRow `json:"rows"`       // by number of devices, then by scheme

	schemes []string
}

type scaledRow struct {
	Ranks   int      `json:"ranks"`
	Scheme  string   `json:"scheme"`
	Seconds float64  `json:"seconds"` // a batch
	Speed   float64  `json:"speed"`   // one device by bp ÷ this
	Modules int      `json:"modules,omitempty"`
	Copies  int      `json:"copies,omitempty"`
	Cuts    []string `json:"cuts,omitempty"`
}

// checkRanks returns a fault unless the flags say which devices there are.
func (f *planFlags) checkRanks() error {
	slices.Sort(f.ranks)
	f.ranks = slices.Compact(f.ranks)
	for _, n := range f.ranks {
		if n < 1 || n > mostRanks {
			return fault.New("--ranks has %d: must be numbers of devices from 1 to %d", n, mostRanks)
		}
	}
	switch {
	case f.link == 0:
		return fault.New("--ranks is given without --link: must go with the Gbit/s between devices, such as --link 10")
	case f.latency < 0:
		return fault.New("--latency is %v: must be at least 0", f.latency)
	case !(f.faster > 0) || math.IsInf(f.faster, 0):
		return fault.New("--faster is %g: must be a number above 0", f.faster)
	case f.budget > 0:
		return fault.New("--budget is %s with --ranks: must go without", f.budget.String())
	}
	return nil
}

// scale predicts the schemes for each number of devices.
func (f *planFlags) scale(cmd *cobra.Command) (plans, error) {
	if err := f.checkRanks(); err != nil {
		return nil, err
	}
	r := &scaled{Link: f.link, Latency: f.latency.Seconds(), Faster: f.faster, schemes: []string{"bp, data parallel", "bp, GPipe", "bp, 1F1B"}}
	defer torch.Pin()()
	lines := plan.Lines{}
	for _, method := range slices.Compact(f.methods) {
		if method == "bp" { // is there anyway
			continue
		}
		if err := f.scaleMethod(cmd, r, method, lines); err != nil {
			return nil, err
		}
	}
	if len(r.Rows) == 0 {
		return nil, fault.New("--method is bp: must name a method with modules, too, such as layerwise")
	}
	order := func(a, b scaledRow) int {
		if a.Ranks != b.Ranks {
			return a.Ranks - b.Ranks
		}
		return slices.Index(r.schemes, a.Scheme) - slices.Index(r.schemes, b.Scheme)
	}
	slices.SortStableFunc(r.Rows, order)
	if f.plot == "" {
		return r, nil
	}
	return r, r.draw(f.plot)
}

// scaleMethod adds a method's rows, and those of back-propagation where they are not there yet.
func (f *planFlags) scaleMethod(cmd *cobra.Command, r *scaled, method string, lines plan.Lines) error {
	c, err := f.config(method, 1)
	if err != nil {
		return err
	}
	r.Model, r.Image, r.Batch, r.Precision = c.Model.Name, c.Model.Image, c.Data.Batch, c.Precision
	c.Method.Cuts = []string{"auto:time"}
	spec := specOf(c, c.Model.Image, c.Model.Classes)
	o, done := measuring(cmd, plan.For(spec, c.Data.Batch))
	defer done()
	o.Blocks = lines
	p, err := plan.New(spec, o)
	if err != nil {
		return err
	}
	defer p.Free()
	if !p.Divides() {
		return fault.New("--method has %s, which does not cut the network: must be methods with modules, such as sgr", method)
	}
	if len(r.Rows) == 0 {
		if err := r.addBP(p, f.ranks); err != nil {
			return err
		}
	}
	return r.add(p, method, f.ranks)
}

func (r *scaled) cluster(ranks int) cluster.Cluster {
	return cluster.Cluster{Ranks: ranks, Bandwidth: r.Link * 1e9 / 8, Latency: r.Latency}
}

// addBP predicts the schemes of back-propagation.
func (r *scaled) addBP(p *plan.Planner, ranks []int) error {
	pieces, err := p.Pieces(r.Batch)
	if err != nil {
		return err
	}
	var n cluster.Network
	for _, b := range pieces {
		n = append(n, cluster.Block{Forward: b.Forward / r.Faster, Backward: b.Backward / r.Faster, Out: float64(b.OutBytes), Params: float64(b.GradientBytes)})
	}
	r.Seconds = n.Seconds()
	for _, k := range ranks {
		c := r.cluster(k)
		times := []float64{n.DataParallel(c), n.Pipelined(c, cluster.GPipe, mostParts), n.Pipelined(c, cluster.OneForwardOneBackward, mostParts)}
		for i, seconds := range times {
			if !math.IsInf(seconds, 1) {
				r.Rows = append(r.Rows, scaledRow{Ranks: k, Scheme: r.schemes[i], Seconds: seconds, Speed: r.Seconds / seconds})
			}
		}
	}
	return nil
}

// add predicts a method: the best number of modules, two at least where there are two devices, one would be back-propagation;
// and copies of them.
func (r *scaled) add(p *plan.Planner, method string, ranks []int) error {
	r.schemes = append(r.schemes, method)
	for _, k := range ranks {
		best := scaledRow{Ranks: k, Scheme: method, Seconds: math.Inf(1)}
		for modules := min(2, k); modules <= min(k, p.Blocks()); modules++ {
			if k%modules != 0 {
				continue
			}
			at, err := p.Plan(modules, r.Batch, plan.Time)
			if err != nil {
				return err
			}
			var list []cluster.Module
			for _, m := range at.Modules {
				list = append(list, cluster.Module{Seconds: m.SecondsPerStep / r.Faster, Link: float64(m.LinkBytes), Params: float64(m.ParameterBytes)})
			}
			if seconds := r.cluster(k).Pace(list, k/modules); seconds < best.Seconds {
				best.Seconds, best.Modules, best.Copies, best.Cuts = seconds, modules, k/modules, at.Cuts
			}
		}
		if best.Modules > 0 {
			best.Speed = r.Seconds / best.Seconds
			r.Rows = append(r.Rows, best)
		}
	}
	return nil
}

func (r *scaled) print(w io.Writer) error {
	header := table.Row{"devices"}
	for _, s := range r.schemes {
		header = append(header, s)
	}
	var rows []table.Row
	for _, row := range r.Rows {
		if len(rows) == 0 || rows[len(rows)-1][0] != row.Ranks {
			line := table.Row{row.Ranks}
			for range r.schemes {
				line = append(line, "–")
			}
			rows = append(rows, line)
		}
		text := fmt.Sprintf("%.3g", row.Speed)
		if row.Modules > 0 {
			text = fmt.Sprintf("%.3g (%d×%d)", row.Speed, row.Modules, row.Copies)
		}
		rows[len(rows)-1][1+slices.Index(r.schemes, row.Scheme)] = text
	}
	if err := printTable(w, header, rows, 1); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s, batch %d of %d×%d, %s: speed ÷ that of one device by bp, %.3g s a batch; (modules×copies); links of %g Gbit/s and %.3g µs; predicted from single pieces\n",
		r.Model, r.Batch, r.Image, r.Image, r.Precision, r.Seconds, r.Link, 1e6*r.Latency)
	return err
}

// draw plots speed against the number of devices.
func (r *scaled) draw(path string) error {
	curves := record.Curves{Title: fmt.Sprintf("%s, batch %d of %d×%d", r.Model, r.Batch, r.Image, r.Image), X: "devices", Y: "speed ÷ that of one device by bp"}
	for _, s := range r.schemes {
		for _, row := range r.Rows {
			if row.Scheme == s {
				curves.Add(s, float64(row.Ranks), row.Speed)
			}
		}
	}
	return record.PlotCurves(path, curves)
}
