package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/plan"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/train"
	"github.com/locus-learn/locus/zoo"
)

// planFlags override keys of the recipe measured; --set comes last.
type planFlags struct {
	model, precision      string
	methods               []string
	modules               counts
	batch, image, threads int
	budget                byteSize
	sets                  []string
	asJSON                bool
	plot                  string // file
	link                  float64
	ranks                 []int
	latency               time.Duration
	faster                float64
}

// planned is what the command prints.
type planned struct {
	Model     string            `json:"model"`
	Method    string            `json:"method"`
	Head      string            `json:"head"`
	Image     int               `json:"image"`
	Precision string            `json:"precision"`
	Plan      plan.Prediction   `json:"plan"`
	BP        plan.Prediction   `json:"bp"`     // at the same batch
	Saving    float64           `json:"saving"` // of activations, 1 − plan/bp
	Total     float64           `json:"saving_total"`
	Budget    int64             `json:"budget,omitempty"`
	Fits      []plan.Prediction `json:"fits,omitempty"` // the largest batch for each number of modules
	Way       *plan.Way         `json:"way,omitempty"`  // the fastest within the budget, of those with the batch

	link float64 // Gbit/s between the processes of modules; 0 where nobody asks
}

func newPlan() *cobra.Command {
	f := planFlags{modules: counts{"3", []int{3}}}
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Choose cuts and predict memory before training",
		Long: `Choose where to cut a network, and predict the memory of a training step at any batch size. Blocks and heads are
measured one by one on small batches; nothing is trained.

The cuts are those with the least peak memory, or the most even time for a pipeline (--set method.cuts=auto:time), or
the given ones (--set method.cuts=layer1.2,layer2.3). With --budget, what fits is found: with --batch the fastest way,
by cuts, checkpoints, modules in memory and, if need be, smaller batches whose gradients accumulate, and what it costs
in time; with --modules the largest batch; with neither the largest batch for each number; with both, whether that
number fits.

With several numbers of modules or several methods, the table has a row for each, memory and time beside those of bp:
times are sums of what the pieces took one by one, without the optimizers, and so rough.

With --ranks, the table says how fast so many devices with links of --link are beside one: by back-propagation, data
parallel or through pipelines (GPipe, 1F1B), and by the methods, with the best number of modules and copies.`,
		Example: `  locus plan --model resnet101 --modules 3 --batch 256 --set head.name=infopro
  locus plan --model swin_t --budget 16GiB --set head.name=infopro
  locus plan --model resnet32 --modules 16 --json
  locus plan --model resnet50 --method layerwise,sgr --ranks 2,4,8 --link 100 --latency 10us --faster 1000 --threads 1
  locus plan --model vit_s --modules all --method sgr,layerwise,infopro --batch 256 --plot memory.svg`,
		Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, stopped := f.run(cmd)
			if r == nil {
				return stopped
			}
			if f.asJSON {
				return cmp.Or(printJSON(cmd.OutOrStdout(), r), stopped)
			}
			return cmp.Or(r.print(cmd.OutOrStdout()), stopped)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.model, "model", "resnet32", "`model` to train (model.name)")
	flags.StringSliceVar(&f.methods, "method", []string{"sgr"}, "`method` to train it by (method.name), or several: a,b")
	flags.Var(&f.modules, "modules", "number `K` of modules (method.modules), or several: 1-16, or all up to the number of blocks")
	flags.IntVar(&f.batch, "batch", 128, "`N` images in a batch (data.batch)")
	flags.IntVar(&f.image, "image", 0, "side `S` of the images in pixels (model.image); 0: what the model was published for")
	flags.StringVar(&f.precision, "precision", "fp32", "`type` of activations: fp32 or bf16")
	flags.IntVar(&f.threads, "threads", 0, "`T` threads; 0: all cores")
	flags.Var(assignments{to: &f.sets, key: "method.resident"}, "resident", "`R` modules in memory, the others waiting in files (method.resident)")
	flags.Var(assignments{to: &f.sets, key: "method.visit"}, "visit", "`N` batches that a module then trains on in a row (method.visit)")
	flags.Var(&f.budget, "budget", "`bytes` of tensors that a step may take, such as 16GiB")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON")
	flags.StringVar(&f.plot, "plot", "", "`FILE` to draw memory and time against the number of modules into, or speed against --ranks, as SVG")
	flags.Float64Var(&f.link, "link", 0, "`Gbit/s` between processes: also print what goes over each cut, and how long it takes")
	flags.IntSliceVar(&f.ranks, "ranks", nil, "numbers `N,N` of devices: print how fast each scheme is on so many")
	flags.DurationVar(&f.latency, "latency", 50*time.Microsecond, "`TIME` that a message between devices takes on its way, with --ranks")
	flags.Float64Var(&f.faster, "faster", 1, "`N` times as fast as this machine is each device, with --ranks")
	addSet(cmd, &f.sets)
	completeValues(cmd, "precision", "fp32", "bf16")
	must(cmd.RegisterFlagCompletionFunc("model", completeModels))
	must(cmd.RegisterFlagCompletionFunc("method", completeMethods))
	return cmd
}

// config checks the flags and lays them over the recipe measured, with K modules.
func (f *planFlags) config(method string, modules int) (train.Config, error) {
	for _, n := range []struct {
		flag       string
		value, min int
	}{{"batch", f.batch, 2}, {"image", f.image, 0}, {"threads", f.threads, 0}} {
		if n.value < n.min {
			return train.Config{}, fault.New("--%s is %d: must be at least %d", n.flag, n.value, n.min)
		}
	}
	if f.link < 0 || math.IsNaN(f.link) || math.IsInf(f.link, 0) {
		return train.Config{}, fault.New("--link is %g: must be a number of Gbit/s above 0, such as 10", f.link)
	}
	image, classes := f.image, 10
	if i := slices.IndexFunc(zoo.Models(), func(m zoo.Model) bool { return m.Name == f.model }); i >= 0 {
		side := zoo.Models()[i].Side
		if image == 0 {
			image = side
		}
		if side == 224 {
			classes = 1000
		}
	}
	return train.Load(measured, append([]string{
		"method.cuts=auto", "method.name=" + method, "model.name=" + f.model, "precision=" + f.precision,
		fmt.Sprint("method.modules=", modules), fmt.Sprint("data.batch=", f.batch), fmt.Sprint("model.image=", image),
		fmt.Sprint("model.classes=", classes), fmt.Sprint("threads=", f.threads),
	}, f.sets...))
}

// plans is what the command finds: one plan or a table of them.
type plans interface{ print(w io.Writer) error }

// run finds them. Interrupted, it returns those that are done, too.
func (f *planFlags) run(cmd *cobra.Command) (plans, error) {
	if len(f.methods) == 0 {
		return nil, fault.New("--method is empty: must name at least one, 'locus list methods' shows them")
	}
	if err := drawable(f.plot); err != nil {
		return nil, err
	}
	if len(f.ranks) > 0 {
		return f.scale(cmd)
	}
	for _, flag := range []string{"latency", "faster"} {
		if cmd.Flags().Changed(flag) {
			return nil, fault.New("--%s is given without --ranks: must go with numbers of devices, such as --ranks 2,4,8", flag)
		}
	}
	k, one := f.modules.one()
	if !one || len(f.methods) > 1 {
		return f.sweep(cmd)
	}
	if f.plot != "" {
		return nil, fault.New("--plot is %s with --modules %d: must go with several numbers of modules, such as 1-16 or all", f.plot, k)
	}
	c, err := f.config(f.methods[0], k)
	if err != nil {
		return nil, err
	}
	defer torch.Pin()()
	most := c.Data.Batch
	modules, batch := cmd.Flags().Changed("modules"), cmd.Flags().Changed("batch")
	if f.budget > 0 && !batch {
		most = 0
	}
	side := c.Model.Image
	spec := specOf(c, side, c.Model.Classes)
	o, done := measuring(cmd, plan.For(spec, most))
	defer done()
	o.Blocks = plan.Lines{}
	p, err := plan.New(spec, o)
	if err != nil {
		return nil, err
	}
	defer p.Free()
	r := &planned{Model: c.Model.Name, Method: c.Method.Name, Head: c.Head.Name, Image: side, Precision: c.Precision, Budget: int64(f.budget), link: f.link}
	goal, auto := c.Method.Auto()
	switch {
	case f.budget > 0 && !auto && p.Divides():
		return nil, fault.New("--budget is %s with method.cuts %s: must go without cuts, or with auto", f.budget.String(), strings.Join(c.Method.Cuts, ","))
	case f.budget > 0:
		if batch && !modules && p.Divides() {
			err = r.within(spec, o, f)
		} else {
			err = r.fit(p, f, modules, batch, plan.Goal(goal))
		}
	case auto:
		r.Plan, err = p.Plan(c.Method.Modules, c.Data.Batch, plan.Goal(goal))
	default:
		var ends []int
		if ends, err = p.Given(); err == nil {
			r.Plan, err = p.Predict(ends, c.Data.Batch)
		}
	}
	if errors.Is(err, context.Canceled) && len(r.Fits) > 0 {
		return r, err
	}
	if err != nil {
		return nil, err
	}
	if r.BP, err = p.Whole(r.Plan.Batch); err != nil {
		return nil, err
	}
	r.Saving, r.Total = savings(r.Plan, r.BP)
	return r, nil
}

// measuring has a planner say on standard error how far it is, and end when the command is interrupted. done takes away what
// stands on a terminal.
func measuring(cmd *cobra.Command, o plan.Options) (with plan.Options, done func()) {
	say := counting(cmd, "pieces measured")
	o.Measured = func(parts int) error {
		say(parts)
		return cmd.Context().Err()
	}
	return o, func() {
		if w := cmd.ErrOrStderr(); isTerminal(w) {
			fmt.Fprint(w, "\r\x1b[K")
		}
	}
}

// counting returns what says on standard error how many things there are by now: always on a terminal, else now and then.
func counting(cmd *cobra.Command, what string) func(n int) {
	w := cmd.ErrOrStderr()
	terminal, last := isTerminal(w), time.Now()
	return func(n int) {
		switch now := time.Now(); {
		case terminal:
			fmt.Fprintf(w, "\r\x1b[K%d %s", n, what)
		case now.Sub(last) > betweenLines:
			last = now
			fmt.Fprintf(w, "%d %s\n", n, what)
		}
	}
}

// betweenLines is how long a command that is no training measures before it says so again where there is no terminal.
const betweenLines = 10 * time.Second

// specOf is the model of a recipe for square images of a set that nobody reads. Which class counts how much takes no memory.
func specOf(c train.Config, side, classes int) model.Spec {
	in := square(side, classes)
	in.MultiLabel = c.Loss.MultiLabel()
	if len(c.Loss.Weights) > 0 {
		c.Loss.Weights, in.Counts = []string{"balanced"}, make([]int, classes)
	}
	return c.Spec(in)
}

// square is what a model must know of coloured images of a side.
func square(side, classes int) model.Input {
	return model.Input{Shape: nn.Shape{C: 3, H: side, W: side}, Classes: classes}
}

// savings returns how much less a plan takes than bp: of activations, and of all tensors.
func savings(p, bp plan.Prediction) (activations, total float64) {
	saved := func(a, b int64) float64 { return 1 - float64(a)/float64(b) }
	return saved(p.ActivationBytes, bp.ActivationBytes), saved(p.PeakBytes, bp.PeakBytes)
}

// within finds the fastest way to train with the batch in the budget.
func (r *planned) within(spec model.Spec, o plan.Options, f *planFlags) error {
	way, ok, err := plan.Within(spec, f.batch, r.Budget, o)
	if err != nil {
		return err
	}
	if !ok {
		return fault.New("--budget is %s: must be at least %d bytes, with %s: %s; a smaller model.width or --image takes less",
			f.budget.String(), way.PeakBytes, way, way.Why())
	}
	r.Plan, r.Way = way.Prediction, &way
	return nil
}

// fit finds what the budget allows.
func (r *planned) fit(p *plan.Planner, f *planFlags, modules, batch bool, goal plan.Goal) error {
	counts := p.Counts()
	if modules {
		counts = f.modules.numbers
	}
	for _, k := range counts {
		if batch {
			at, err := p.Plan(k, f.batch, goal)
			if err != nil {
				return err
			}
			if at.PeakBytes <= r.Budget {
				r.Plan = at
				return nil
			}
			continue
		}
		at, ok, err := p.Fit(k, r.Budget, goal)
		if err != nil {
			return err
		}
		if ok {
			r.Fits = append(r.Fits, at)
			if at.Batch > r.Plan.Batch {
				r.Plan = at
			}
		}
	}
	if r.Plan.Batch == 0 {
		return fault.New("--budget is %s: too little for %s, whatever the cuts; must be more, or --batch less", f.budget.String(), r.Model)
	}
	return nil
}

func (r *planned) print(w io.Writer) error {
	if len(r.Fits) > 0 {
		var rows []table.Row
		for _, at := range r.Fits {
			rows = append(rows, table.Row{len(at.Modules), at.Batch, mebibytes(at.ActivationBytes), mebibytes(at.PeakBytes)})
		}
		if err := printTable(w, table.Row{"modules", "largest batch", "activations, MiB", "peak, MiB"}, rows, 1); err != nil {
			return err
		}
	}
	if len(r.BP.Modules) == 0 { // interrupted
		return nil
	}
	var rows []table.Row
	add := func(name string, blocks string, m plan.Module) {
		rows = append(rows, table.Row{name, blocks, mebibytes(m.ActivationBytes), mebibytes(m.ParameterBytes), mebibytes(m.OptimizerBytes),
			fmt.Sprintf("%.2f", m.SecondsPerStep)})
	}
	for i, m := range r.Plan.Modules {
		add(fmt.Sprint(i+1), span(m.Blocks), m)
	}
	for _, t := range []struct {
		name string
		at   plan.Prediction
	}{{r.Method, r.Plan}, {"bp", r.BP}} {
		sum := plan.Module{ActivationBytes: t.at.ActivationBytes}
		for _, m := range t.at.Modules {
			sum.ParameterBytes += m.ParameterBytes
			sum.OptimizerBytes += m.OptimizerBytes
			sum.SecondsPerStep += m.SecondsPerStep
		}
		add(t.name, "total", sum)
	}
	header := table.Row{"module", "blocks", "activations, MiB", "parameters, MiB", "optimizer, MiB", "about s/step"}
	if err := printTable(w, header, rows, 3); err != nil {
		return err
	}
	if err := r.printStreaming(w); err != nil {
		return err
	}
	if r.Way != nil {
		if _, err := fmt.Fprintf(w, "within the budget: %s; about %.2f times the time of the fastest way\n", r.Way, r.Way.Price); err != nil {
			return err
		}
	}
	if err := r.printLinks(w); err != nil {
		return err
	}
	cuts := strings.Join(r.Plan.Cuts, ",")
	if cuts == "" {
		cuts = "none"
	}
	_, err := fmt.Fprintf(w, "%s, %s heads, batch %d of %d×%d, %s: peak %s MiB, of bp %s MiB: %.1f %% saved, of activations %.1f %%\ncuts: %s\n",
		r.Model, r.Head, r.Plan.Batch, r.Image, r.Image, r.Precision, mebibytes(r.Plan.PeakBytes), mebibytes(r.BP.PeakBytes), 100*r.Total, 100*r.Saving, cuts)
	return err
}

// printLinks prints what goes over each cut, where that was asked for.
func (r *planned) printLinks(w io.Writer) error {
	if r.link == 0 || len(r.Plan.Modules) < 2 {
		return nil
	}
	var rows []table.Row
	for i, m := range r.Plan.Modules[:len(r.Plan.Modules)-1] {
		rows = append(rows, table.Row{r.Plan.Cuts[i], mebibytes(m.LinkBytes), fmt.Sprintf("%.3g", 8e3*float64(m.LinkBytes)/(r.link*1e9)),
			fmt.Sprintf("%.3g", 1e3*m.SecondsPerStep)})
	}
	return printTable(w, table.Row{"cut behind", "MiB a batch", fmt.Sprintf("ms at %g Gbit/s", r.link), "ms of the module in front"}, rows, 1)
}

// span names the first and the last of a module's blocks.
func span(blocks []string) string {
	if len(blocks) == 1 {
		return blocks[0]
	}
	return blocks[0] + " … " + blocks[len(blocks)-1]
}

// printStreaming says what comes and goes where only some modules are in memory.
func (r *planned) printStreaming(w io.Writer) error {
	s := r.Plan.Streaming
	if s == nil {
		return nil
	}
	waiting := mebibytes(s.WaitingBytes) + " MiB of signals that wait"
	if s.BufferBytes > 0 {
		waiting = mebibytes(s.BufferBytes) + " MiB of buffers for signals, beside all tensors"
	}
	_, err := fmt.Fprintf(w, "%d of %d modules in memory, visits of %d batches: %s MiB read and %s MiB written a step, %s MiB of disk, %s\n",
		s.Resident, len(r.Plan.Modules), s.Visit, mebibytes(s.ReadBytes), mebibytes(s.WrittenBytes), mebibytes(s.DiskBytes), waiting)
	return err
}
