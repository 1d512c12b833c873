package model

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/zoo"
)

// TuneOptions is the `tune` section of a recipe: how a network goes on that has learned something else before. In a program, a
// zero LayerDecay or HeadRate means 1, and no HeadInit means fresh.
type TuneOptions struct {
	Freeze     []string `recipe:"freeze" default:"" len:"4096" doc:"parts that stay as they are, running statistics included: blocks by their names or how these begin (stem,layer1), body for all blocks, the classifier (fc), heads or heads.K for local heads"`
	LayerDecay float64  `recipe:"layer_decay" default:"1" above:"0" max:"1" doc:"rate of a block over that of the block behind it; 1 = the same for all, 0.75 is usual for transformers"`
	HeadRate   float64  `recipe:"head_rate" default:"1" above:"0" max:"1000000" doc:"factor of the rate of local heads and of the classifier"`
	HeadInit   string   `recipe:"head_init" default:"fresh" oneof:"fresh means probe" doc:"how heads begin that the weights lack: fresh = drawn; means = at the classes' mean features, found in one pass; probe = as the linear probe on them"`
	HeadImages int      `recipe:"head_images" default:"10000" min:"0" max:"1000000000" doc:"training images, at most, that means and probe look at; 0 for all"`
	HeadWarmup float64  `recipe:"head_warmup" default:"0" min:"0" max:"0.999" doc:"share of the training at its beginning in which heads alone learn, and bodies stand still"`
}

// body and heads stand for all blocks and all local heads in tune.freeze.
const (
	wholeBody  = "body"
	localHeads = "heads"
)

// schedule returns the schedule of a method with a warm-up of the heads, and refuses what a method has no use for.
func (o TuneOptions) schedule(m method.Method, s local.Schedule) (local.Schedule, error) {
	if len(o.Freeze) > 0 && m.Claims.Transport == method.Never {
		return s, fault.New("tune.freeze is %s: must be empty for method.name %s, which learns without the gradients of a pretrained network; fits bp, layerwise, sgr",
			strings.Join(o.Freeze, ","), m.Name)
	}
	if o.HeadWarmup == 0 {
		return s, nil
	}
	if m.Claims.Transport == method.Never || s.Cycles(2) > 1 {
		return s, fault.New("tune.head_warmup is %g: must be 0 for method.name %s, which has no heads that learn together; fits bp, layerwise, sgr",
			o.HeadWarmup, m.Name)
	}
	return local.WarmUp{Schedule: s, Share: o.HeadWarmup}, nil
}

// apply freezes what is named: of the network now, of local heads when they are built.
func (o TuneOptions) apply(p *Parts) error {
	for _, name := range o.Freeze {
		found := name == localHeads || strings.HasPrefix(name, localHeads+".") && isCount(name[len(localHeads)+1:])
		for i := range p.Net.Blocks {
			b := &p.Net.Blocks[i]
			if name == wholeBody || within(b.Name, name) {
				found, b.Layer = true, frozen(b.Layer)
			}
		}
		if name == classifierOf(p.Net) {
			found, p.Net.Classifier = true, frozen(p.Net.Classifier)
		}
		if !found {
			return fault.New("tune.freeze names %q, and %s has no such part: must be among %s", name, p.Net.Name, strings.Join(partsOf(p.Net), ", "))
		}
	}
	head, aux := p.Head, p.Aux
	p.Head = func(at zoo.Cut, init nn.Init) (nn.Layer, error) {
		l, err := head(at, init)
		if err == nil && o.freezesHead(at.Module) {
			l = frozen(l)
		}
		return l, err
	}
	p.Aux = func(at zoo.Cut, init nn.Init) (nn.Layer, error) {
		l, err := aux(at, init)
		if err == nil && l != nil && o.freezesHead(at.Module) {
			l = frozen(l)
		}
		return l, err
	}
	return nil
}

func (o TuneOptions) freezesHead(module int) bool {
	return slices.Contains(o.Freeze, localHeads) || slices.Contains(o.Freeze, fmt.Sprint(localHeads, ".", module))
}

// frozen freezes a layer once.
func frozen(l nn.Layer) nn.Layer {
	if _, already := l.(*nn.Frozen); already {
		return l
	}
	return nn.Freeze(l)
}

// within reports whether a block's name is that of a part, or lies in it.
func within(block, part string) bool { return block == part || strings.HasPrefix(block, part+".") }

func isCount(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// classifierOf is how the names of the classifier's parameters begin.
func classifierOf(net *zoo.Network) string {
	for _, p := range nn.Params(net.Classifier) {
		name, _, _ := strings.Cut(p.Name, ".")
		return name
	}
	return ""
}

// partsOf lists what can be frozen: blocks by how their names begin, up to the first dot.
func partsOf(net *zoo.Network) []string {
	names := []string{wholeBody}
	for _, b := range net.Blocks {
		name, _, _ := strings.Cut(b.Name, ".")
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return append(names, classifierOf(net), localHeads)
}

// learns returns a fault if nothing in a model does.
func (o TuneOptions) learns(m *Model) error {
	if len(o.Freeze) == 0 {
		return nil
	}
	for _, module := range m.Modules() {
		if module.Trains() {
			return nil
		}
	}
	return fault.New("tune.freeze is %s: must leave a part that learns; 'body' leaves the classifier and local heads", strings.Join(o.Freeze, ","))
}

// groups returns how the steps of each parameter differ. With n blocks, the i-th from 0 has the rate times LayerDecay^(n−i), as
// in BEiT and timm, where a network's patch or stem is layer 0. What is behind the last block, and what modules have besides
// blocks, is a head.
func (o TuneOptions) groups(net *zoo.Network) func(*nn.Param) optim.Group {
	of := map[*nn.Param]optim.Group{}
	for i, b := range net.Blocks {
		for _, p := range nn.Params(b.Layer) {
			of[p] = optim.Group{Rate: math.Pow(o.LayerDecay, float64(len(net.Blocks)-i))}
		}
	}
	head := optim.Group{Rate: o.HeadRate, Apart: o.HeadWarmup > 0}
	return func(p *nn.Param) optim.Group {
		if g, ok := of[p]; ok {
			return g
		}
		return head
	}
}
