package model

import (
	"errors"
	"fmt"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// Parts are what a model is made of. Net, Ends and Rule are needed; where there is more than one module, so is Head.
type Parts struct {
	Net      *zoo.Network
	Ends     []int // the number of blocks in front of each module's end; the last one is the number of all blocks
	Rule     local.Rule
	Schedule local.Schedule // nil: [local.Together]

	Init  nn.Init     // seed and device of what is built here
	DType torch.DType // of the activations

	// Head builds the local head at a cut, Aux what the module in front of it has besides, or no layer. An Aux may be nil.
	Head, Aux func(at zoo.Cut, init nn.Init) (nn.Layer, error)
	// Optim makes the optimizer of a module; nil for a model that only infers.
	Optim func([]*nn.Param) optim.Optimizer

	LastHead   bool // Head takes the place of the network's own classifier, too
	Embeds     bool // what Head puts out are embeddings, which have no accuracy
	MirrorsNet bool // what Head builds depends on the place of the cut, and not on the features' shape alone

	Pixels   local.Pixels // how the input was normalised, for rules that need the images
	Pipeline int          // batches in flight through modules that work at the same time; 0: in lock-step
	Threads  int          // that a pipeline shares out
	Resident int          // modules that are in memory at a time; 0: all. See [Model.Begin]
	Visit    int          // batches that such a module trains on before the next one comes; 0: one
	Graphs   bool         // the device records steps of modules in lock-step: see [local.Recorded]

	Spec *Spec // the names that stand for all this, as they were settled; nil where there are none
}

// Model is a network cut into modules, with the learner that trains it.
type Model struct {
	Parts
	Learner local.Learner
	Chain   *local.Chain // what Learner drives

	freed bool
}

// Of cuts a network and gives every module its head, what the rule needs besides, and an optimizer. It takes the network
// over, whatever it returns. The caller frees the model.
//
// With Resident, Init.Later makes networks that need not fit into memory. Such a model is to be begun before it is used:
// [Model.Begin].
func Of(p Parts) (*Model, error) {
	if p.Schedule == nil {
		p.Schedule = local.Together{}
	}
	if p.Net == nil {
		return nil, errors.New("model: Parts.Net is nil: a model needs a network")
	}
	modules, err := p.modules()
	if err != nil {
		p.Net.Free()
		return nil, err
	}
	m := &Model{Parts: p, Chain: local.NewChain(modules, p.Rule, p.Schedule, p.DType)}
	m.Chain.Pixels = p.Pixels
	switch {
	case p.Resident > 0:
		m.Chain.Residents = local.NewResidents(modules, p.Resident)
		m.Learner = local.NewStream(m.Chain, max(1, p.Visit))
	case p.Pipeline > 0:
		m.Learner = local.NewPipeline(m.Chain, p.Pipeline, p.Threads)
	case p.Graphs:
		m.Learner = local.NewRecorded(m.Chain)
	default:
		m.Learner = m.Chain
	}
	return m, nil
}

// modules makes all modules, or none. What Net has stays its own until all are there.
func (p *Parts) modules() (modules []*local.Module, err error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			for _, m := range modules {
				p.FreeAdded(m)
			}
		}
	}()
	from := 0
	for i, end := range p.Ends {
		m, err := p.Module(from, zoo.Cut{Net: p.Net, Module: i + 1, Modules: len(p.Ends), End: end})
		if err != nil {
			return modules, err
		}
		modules, from = append(modules, m), end
	}
	if err := apart(modules); err != nil {
		return modules, err
	}
	if err := fitsTangents(&p.Rule, modules); err != nil {
		return modules, err
	}
	if p.LastHead {
		nn.Free(nn.Params(p.Net.Classifier))
		p.Net.Classifier = modules[len(modules)-1].Head
	}
	return modules, nil
}

// check finds mistakes of a program that puts parts together.
func (p *Parts) check() error {
	if err := p.Net.Check(); err != nil {
		return err
	}
	last := 0
	for _, end := range p.Ends {
		if end <= last || end > len(p.Net.Blocks) {
			return fmt.Errorf("model: ends %v must rise to the number of blocks, %d", p.Ends, len(p.Net.Blocks))
		}
		last = end
	}
	switch {
	case last != len(p.Net.Blocks):
		return fmt.Errorf("model: ends %v must rise to the number of blocks, %d", p.Ends, len(p.Net.Blocks))
	case p.Head == nil && (len(p.Ends) > 1 || p.LastHead):
		return fmt.Errorf("model: %d modules need local heads: Parts.Head is nil", len(p.Ends))
	case p.Resident > len(p.Ends) || p.Resident > 0 && p.Pipeline > 0:
		return fault.New("method.resident is %d: must be at most %d, the number of modules, and 0 with method.pipeline", p.Resident, len(p.Ends))
	case p.Graphs && (p.Resident > 0 || p.Pipeline > 0):
		return fault.New("graphs is true: must be false with method.pipeline and method.resident, now %d and %d; steps are recorded of modules that all are in memory and take turns",
			p.Pipeline, p.Resident)
	case p.Rule.Objective == nil || p.Rule.Term == nil || p.Rule.Credit == nil:
		return fmt.Errorf("model: a rule needs an objective, a term and a credit")
	}
	for _, part := range []any{p.Rule.Objective, p.Rule.Term, p.Rule.Credit, p.Schedule} {
		if c, ok := part.(interface{ Check() error }); ok {
			if err := c.Check(); err != nil {
				return fmt.Errorf("model: %w", err)
			}
		}
	}
	return nil
}

// apart returns an error where modules share a parameter, or a name: each has an optimizer of its own, and a checkpoint has a
// parameter by its name.
func apart(modules []*local.Module) error {
	owner := map[string]int{}
	for _, m := range modules {
		for _, p := range m.Params {
			if other := owner[p.Name]; other > 0 {
				return fmt.Errorf("model: parameter %s is in module %d and in module %d: must be in one of them, and each name be there once; Head names its layers by Cut.Module", p.Name, other, m.Index)
			}
			owner[p.Name] = m.Index
		}
	}
	return nil
}

// Module makes the module in front of a cut of the blocks from … at.End−1, with its head and what it has besides. The
// blocks, and the classifier where the last module has it, stay the network's. With no blocks it is what follows a body.
func (p *Parts) Module(from int, at zoo.Cut) (*local.Module, error) {
	head, own, last := p.Net.Classifier, false, at.Module == at.Modules
	var err error
	if own = !last || p.LastHead; own {
		if head, err = p.Head(at, p.Init); err != nil {
			return nil, err
		}
		if head == nil {
			return nil, fmt.Errorf("model: Parts.Head returns no layer for module %d", at.Module)
		}
	}
	var aux nn.Layer
	if p.Aux != nil {
		if aux, err = p.Aux(at, p.Init); err != nil {
			if own {
				nn.Free(nn.Params(head))
			}
			return nil, err
		}
	}
	optim := p.Optim
	if p.Resident > 0 {
		optim = nil // made by [Model.Begin]
	}
	m := local.NewModule(at.Module, last, p.Net.Blocks[from:at.End], head, aux, optim)
	m.Of, m.Embeds = at.Modules, p.Embeds && own
	if optim != nil && m.Optim == nil {
		p.FreeAdded(m)
		return nil, fmt.Errorf("model: Parts.Optim returns no optimizer for module %d", at.Module)
	}
	return m, nil
}

// FreeAdded releases what [Parts.Module] has made: head, what the module has besides, and the optimizer, but not the network.
func (p *Parts) FreeAdded(m *local.Module) {
	if !m.Last || p.LastHead {
		nn.Free(nn.Params(m.Head))
	}
	if m.Aux != nil {
		nn.Free(nn.Params(m.Aux))
	}
	if m.Optim != nil {
		m.Optim.Free()
	}
}

// fitsTangents returns a fault if the rule's term is to take tangents and a module has none.
func fitsTangents(r *local.Rule, modules []*local.Module) error {
	t, ok := r.Term.(*local.Reconcile)
	if !ok || t.Gradient != local.Tangent {
		return nil
	}
	for _, m := range modules[1:] { // the first has no term
		if !t.Follows(r, m, torch.Float32) {
			return fault.New("method.gradient is tangent: must be auto, directional or double for module %d (%s); a tangent needs layers of convolutional nets, the cross-entropy, and method.checkpoint none",
				m.Index, m.Blocks[0])
		}
	}
	return nil
}
