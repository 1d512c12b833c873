// Package methodtest is the conformance suite of methods: what each declares of itself ([method.Claims]), and what all owe
// their users, tried on small networks. A test and `locus verify` run it over [local.Methods], so that a new method is
// covered without a word here.
package methodtest

import (
	"fmt"
	"time"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// Finding is what a check found of a method.
type Finding struct {
	Method  string  `json:"method"`
	Check   string  `json:"check"`
	Note    string  `json:"note"`    // what was measured, or why there was nothing to
	Failure string  `json:"failure"` // what is wrong; "" if nothing is
	Seconds float64 `json:"seconds"`
}

// Failed reports whether something is wrong.
func (f Finding) Failed() bool { return f.Failure != "" }

// checks in the order in which they run. Each returns a note, or an error that says what is wrong.
var checks = []struct {
	name string
	run  func(*Subject) (note string, err error)
}{
	{"isolation", isolation},
	{"locking", locking},
	{"transport", transport},
	{"graph", graph},
	{"gradients", gradients},
	{"schedule", schedule},
	{"descent", descent},
	{"determinism", determinism},
	{"tensors", tensors},
	{"device", device},
	{"recorded", recorded},
}

// Subject is a method as the suite tries it: with its own options or, where it takes it, with SGR's term on top.
type Subject struct {
	Name   string
	method method.Method
	spec   model.Spec
	soft   bool               // labels are probabilities
	only   string             // the one check that it is for; "" for all
	device torch.Device       // that the checks "device" and "recorded" try
	inject func(*local.Chain) // lets a test inject a fault; nil elsewhere
}

// nets are tried in this order; the first that a method can train is its.
var nets = []zoo.Options{
	{Name: "resnet32", Depth: 8, Width: 4},
	{Name: "plainnet32", Depth: 8, Width: 4},
	{Name: "plain7", Width: 8},
	{Name: "mlp", Depth: 3, Width: 24},
}

// Size of what the suite trains on. There are two and more samples of a class, and less samples than any head has
// features in front of its last layer.
const (
	side    = 16
	classes = 4
	samples = 12
)

// Subjects lists what the suite tries. It fails for a method that can train none of its networks.
func Subjects(seed uint64) ([]Subject, error) {
	var all []Subject
	for _, m := range method.All() {
		s, err := newSubject(m.Name, seed, false)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
		rule, _ := s.method.Compose(s.spec.Method)
		if _, reconciles := rule.Term.(*local.Reconcile); reconciles {
			continue
		}
		if with, err := newSubject(m.Name, seed, true); err == nil {
			with.Name += " + sgr"
			all = append(all, with)
		}
	}
	return all, nil
}

// smallSpec is the spec of a small network that a method trains; the network is missing.
func smallSpec(name string, seed uint64) model.Spec {
	spec := model.Defaults()
	spec.Seed, spec.Threads = seed, 1
	spec.Input = model.Input{
		Shape: nn.Shape{C: 3, H: side, W: side}, Classes: classes,
		Mean: []float64{0.5, 0.5, 0.5}, Std: []float64{0.25, 0.25, 0.25},
	}
	spec.Head.Width, spec.Head.Widths = 8, []int{24, 32, 32}
	spec.Optim = optim.Options{Name: "sgd"}
	o := &spec.Method
	o.Name, o.Modules, o.Lambda, o.Reduction = name, 3, 5, string(local.Batch)
	return spec
}

func newSubject(name string, seed uint64, sgr bool) (s Subject, err error) {
	s = Subject{Name: name, spec: smallSpec(name, seed)}
	spec := &s.spec
	o := &spec.Method
	o.SGR = sgr
	for _, spec.Net = range nets {
		if s.method, *o, err = method.Lookup(*o); err != nil {
			return s, err
		}
		var r *trial
		if r, err = s.trial(torch.Float32); err == nil {
			r.free()
			return s, nil
		}
	}
	return s, fmt.Errorf("no network of the suite fits method %s: %w", name, err)
}

// Run tries everything on a subject and hands each finding to report.
func Run(s Subject, report func(Finding)) {
	defer torch.Pin()()
	for _, c := range checks {
		if s.only != "" && s.only != c.name {
			continue
		}
		began := time.Now()
		note, err := attempt(c.run, &s)
		f := Finding{Method: s.Name, Check: c.name, Note: note, Seconds: time.Since(began).Seconds()}
		if err != nil {
			f.Failure = err.Error()
		}
		report(f)
	}
}

// Compare tries what concerns a device alone: whether a subject ends on d at the CPU's weights, and whether steps that d records
// are those that it does not.
func Compare(s Subject, d torch.Device, report func(Finding)) {
	for _, s.only = range []string{"device", "recorded"} {
		Run(s.On(d), report)
	}
}

// attempt runs a check; what the engine refuses is a failure of the method.
func attempt(run func(*Subject) (string, error), s *Subject) (note string, err error) {
	defer torch.Catch(&err)
	return run(s)
}

// trial is a freshly initialised network of a subject with its learner. All trials of a subject begin with the same bits.
type trial struct {
	*local.Chain
	model  *model.Model
	device torch.Device
	soft   bool
	scope  *torch.Scope // owns what checks compute
}

// trial builds a network that computes in dtype, on the CPU. The caller frees it.
func (s *Subject) trial(dtype torch.DType) (*trial, error) { return s.trialOn(torch.CPU, dtype) }

// trialOn builds it on a device.
func (s *Subject) trialOn(device torch.Device, dtype torch.DType) (*trial, error) {
	spec := s.spec
	spec.Device = device
	m, err := model.New(spec)
	if err != nil {
		return nil, err
	}
	r := &trial{m.Chain, m, device, s.soft, device.Scope(torch.NoGrad)}
	if s.inject != nil {
		s.inject(r.Chain)
	}
	if dtype != r.DType {
		r.DType = dtype
		for _, m := range r.Modules() {
			for _, p := range m.Params {
				p.Convert(dtype)
			}
			m.Refresh(func(params []*nn.Param) optim.Optimizer { return optim.New(s.spec.Optim, params) })
		}
	}
	return r, nil
}

func (r *trial) free() {
	r.scope.Close()
	r.model.Free()
}

// batch returns images in [−2, 2), 0 to 1 before they were normalised, in as many views as the rule asks for, and labels; the
// caller owns both.
func (r *trial) batch(seed uint64) (x, y torch.Tensor) {
	s := r.device.Scope(torch.NoGrad)
	defer s.Close()
	in := r.model.Spec.Input.Shape
	x = s.Full(torch.Float32, 0, samples*int64(max(1, r.Rule.Views)), 3, int64(in.H), int64(in.W))
	x.Uniform(-2, 2, seed) // the same numbers in every type
	x = s.Cast(x, r.DType)
	labels := make([]int64, samples)
	for i := range labels {
		labels[i] = (int64(i) + int64(seed)) % classes
	}
	y = s.FromInts(labels)
	if r.soft {
		even := s.Full(torch.Float32, 0.3/classes, samples, classes)
		y = s.Add(even, s.OneHot(y, classes), 0.7)
	}
	return x.Keep(), y.Keep()
}

// step trains on the batch of a seed.
func (r *trial) step(seed uint64, done float64) error {
	x, y := r.batch(seed)
	_, err := r.Step(x, y, local.Tick{Done: done, LR: 0.1})
	return err
}
