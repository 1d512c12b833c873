package theory

import (
	"fmt"
	"slices"

	"github.com/locus-learn/locus/internal/seed"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// ModuleCost is what a training step costs a network in K modules, in multiply-adds of its convolutions and linear
// layers an image. Hours is the ratio of the paper's training times, SGR to back-propagation (Table 5); 0: not given.
type ModuleCost struct {
	Model     string  `json:"model"`
	Modules   int     `json:"modules"`
	Forward   int64   `json:"forward"` // of the uncut network
	BP        int64   `json:"bp"`
	LayerWise int64   `json:"layerwise"`
	SGR       int64   `json:"sgr"`
	Term      float64 `json:"term"` // the largest share of a module's own layer-wise step that its term takes
	Hours     float64 `json:"paper_hours_ratio,omitempty"`
}

// net is a network that is counted, and the ratio of hours for each K.
type net struct {
	model   zoo.Options
	in      nn.Shape
	classes int
	head    zoo.HeadOptions
	modules []int
	hours   []float64
}

// nets are the residual networks of Tables 5 and 6, with the heads of Appendix E.
var nets = []net{
	{zoo.Options{Name: "resnet32"}, nn.Shape{C: 3, H: 32, W: 32}, 10, zoo.HeadOptions{Name: "conv", Width: 128},
		[]int{2, 3, 16}, []float64{0, 0, 0}},
	{zoo.Options{Name: "resnet50"}, nn.Shape{C: 3, H: 224, W: 224}, 1000, zoo.HeadOptions{Name: "infopro"},
		[]int{2, 3}, []float64{17.1 / 7.0, 15.1 / 7.0}},
	{zoo.Options{Name: "resnet101"}, nn.Shape{C: 3, H: 224, W: 224}, 1000, zoo.HeadOptions{Name: "infopro"},
		[]int{2, 3}, []float64{28.5 / 11.0, 22.9 / 11.0}},
}

// Costs counts the networks of the paper.
func Costs() ([]ModuleCost, error) {
	var all []ModuleCost
	for _, n := range nets {
		for i, k := range n.modules {
			work, err := n.count(k)
			if err != nil {
				return nil, err
			}
			c := price(work)
			c.Model, c.Modules, c.Hours = n.model.Name, k, n.hours[i]
			all = append(all, c)
		}
	}
	return all, nil
}

// work is what one forward pass of a module takes.
type work struct {
	body, head int64
	entry      int64 // of body: the products that read the module's input
}

// step is a forward pass, the gradient of every weight, and that of every input but the module's own.
func (w work) step() int64 { return 3*(w.body+w.head) - w.entry }

// term is what SGR adds by the directional derivative: the input's gradient in the first pass, and a replay, which has
// a step's products.
func (w work) term() int64 { return w.entry + w.step() }

// price sums the modules up. Back-propagation has only the last head.
func price(modules []work) (c ModuleCost) {
	for i, w := range modules {
		c.Forward += w.body
		c.LayerWise += w.step()
		if i > 0 {
			c.SGR += w.term()
			c.Term = max(c.Term, float64(w.term())/float64(w.step()))
		}
	}
	c.Forward += modules[len(modules)-1].head
	c.BP = 3*c.Forward - modules[0].entry
	c.SGR += c.LayerWise
	return c
}

// count runs one image through the network in k modules and lists their products.
func (n net) count(k int) ([]work, error) {
	spec := model.Defaults()
	spec.Net, spec.Inference, spec.Threads = n.model, true, torch.Threads()
	if n.head.Name != "" {
		spec.Head = n.head
	}
	spec.Input = model.Input{Shape: n.in, Classes: n.classes}
	spec.Method.Name, spec.Method.Modules = "layerwise", k
	m, err := model.New(spec)
	if err != nil {
		return nil, err
	}
	defer m.Free()
	s := torch.CPU.Scope(torch.NoGrad)
	defer s.Close()
	x := s.Full(torch.Float32, 0, 1, int64(n.in.C), int64(n.in.H), int64(n.in.W))
	var modules []work
	for _, module := range m.Modules() {
		var body, head []nn.Product
		p := nn.Evaluate(s, torch.Float32)
		p.Work = &body
		x = module.Body.Forward(p, x)
		p.Work = &head
		module.Head.Forward(p, s.Alias(x)).Free()
		modules = append(modules, work{sum(body, nil), sum(head, nil), sum(body, entries(module.Blocks[0]))})
	}
	return modules, nil
}

// entries names the weights of a residual network's block, or of its stem, that read its input.
func entries(block string) []string {
	return []string{"conv1.weight", block + ".conv1.weight", block + ".downsample.0.weight"}
}

// sum adds up the products of the named weights, or of all.
func sum(products []nn.Product, names []string) (macs int64) {
	for _, p := range products {
		if names == nil || slices.Contains(names, p.Weight) {
			macs += p.MACs
		}
	}
	return macs
}

func costClaims(root uint64, costs []ModuleCost) []Claim {
	b, x, prev := randomBlock(seed.Rand(root, "theory/table 8"))
	m, n := b.W.Dims()
	_, _, t := b.CountFlops(x, prev)
	largest := 0.0
	for _, c := range costs {
		largest = max(largest, c.Term)
	}
	return []Claim{
		{"Table 8", fmt.Sprintf("A: m, B: 2mn, A·B: mn, in all 3mn + m = %d for m = %d, n = %d", 3*m*n+m, m, n),
			fmt.Sprintf("%d, %d, %d, in all %d; Eq. 35's missing term takes %d more", t.A, t.B, t.AB, t.Total(), t.Missing),
			judge(t.A == m && t.B == 2*m*n && t.AB == m*n, false)},
		{"Appendix D", "the term costs about what the layer itself does",
			fmt.Sprintf("at most %.2f times a module's layer-wise step, in the residual networks", largest),
			judge(largest < 1.5, false)},
	}
}
