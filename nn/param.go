package nn

import (
	"errors"
	"math"
	"strings"

	"github.com/locus-learn/locus/internal/seed"
	"github.com/locus-learn/locus/torch"
)

// Param is a named tensor of a network: a trainable parameter, or a buffer such as a running mean.
type Param struct {
	Name      string
	Value     torch.Tensor // owned by the Param
	Trainable bool
	Embedding bool // a table or a token that is added to features: by custom not decayed, as vectors are not
	Frozen    bool // it stays as it is: see [Freeze]

	start func() torch.Tensor // makes the value that the parameter begins with; see Begin
}

// Begin gives a parameter that was made by an [Init] with Later the value that it begins with. Where the value is in memory
// it stays.
func (p *Param) Begin() {
	if p.Value.IsAway() {
		p.Value.Become(p.start())
	}
}

// Running reports whether the parameter is a running statistic of a normalisation, which training moves without a gradient.
func (p *Param) Running() bool {
	return !p.Trainable && !p.Frozen && (strings.HasSuffix(p.Name, "running_mean") || strings.HasSuffix(p.Name, "running_var"))
}

// Convert changes the type of a floating-point value; counters stay as they are.
func (p *Param) Convert(dtype torch.DType) {
	if p.Value.DType() == torch.Int64 {
		return
	}
	s := p.Value.Device().Scope(torch.NoGrad)
	defer s.Close()
	v := s.Cast(p.Value, dtype).Keep()
	p.Value.Free()
	p.Value = v.SetRequiresGrad(p.Trainable)
}

// Trainable filters a list of parameters and returns the values of those that are trained.
func Trainable(params []*Param) []torch.Tensor {
	var out []torch.Tensor
	for _, p := range params {
		if p.Trainable {
			out = append(out, p.Value)
		}
	}
	return out
}

// Free releases all values. The layers that hold them are dead from here on.
func Free(params []*Param) {
	for _, p := range params {
		p.Value.Free()
	}
}

// Init makes parameters: it knows their place in the network, which names them, and the seed, from which every
// parameter draws by its own name. So neither cuts nor heads change how a body starts.
type Init struct {
	Seed   uint64
	Prefix string // "layer1.0." or empty
	Device torch.Device
	Room   *Room // what all parameters together may take; nil for any

	// Stored, where it is not nil, says whether a parameter's value lies somewhere already, such as in a file, under this name
	// and in this shape. Nothing is drawn then: whoever sets Stored fills the parameters. [Init.Rehearse] returns its error
	// before the parameter is allocated. [ErrSpare] is no error: such a parameter takes no memory.
	Stored func(name string, shape []int64) error

	// Later makes parameters whose values are not in memory ([torch.Tensor.Leave]) until [Param.Begin]: for networks of which
	// only a part is there at a time. What they begin with is the same.
	Later bool
}

// In returns the Init of a child.
func (i Init) In(name string) Init {
	i.Prefix += name + "."
	return i
}

// make makes a parameter of so many equal elements, which fill, unless nil, overwrites.
func (i Init) make(name string, trainable bool, dtype torch.DType, value float64, fill func(torch.Tensor), shape ...int64) *Param {
	spare := i.lookUp(i.Prefix+name, shape)
	bytes := i.Room.reserve(i.Prefix+name, int64(dtype.Size()), shape)
	p := &Param{Name: i.Prefix + name, Trainable: trainable}
	p.start = func() torch.Tensor {
		s := i.Device.Scope(torch.NoGrad)
		defer s.Close()
		v := s.Full(dtype, value, shape...).Keep().SetRequiresGrad(p.Trainable) // as it is when this is called
		if fill != nil && i.draws() {
			fill(v)
		}
		return v
	}
	switch {
	case spare || i.Room.dry(bytes):
		s := i.Device.Scope(torch.NoGrad)
		defer s.Close()
		p.Value = s.Expand(s.Full(dtype, value, 1), shape...).Keep() // one element in all places
	case i.Later && !i.Room.rehearsing():
		p.Value = i.Device.Away(dtype, shape...)
	default:
		p.Value = p.start()
	}
	i.Room.note(p)
	return p
}

// ErrSpare is what [Init.Stored] returns for a parameter that nobody will use, such as of a classifier that another head replaces.
var ErrSpare = errors.New("nn: this parameter is not used")

// draws reports whether parameters get values of their own.
func (i Init) draws() bool { return !i.Room.rehearsing() && i.Stored == nil }

func (i Init) constant(name string, value float64, shape ...int64) *Param {
	return i.make(name, true, torch.Float32, value, nil, shape...)
}

func (i Init) buffer(name string, dtype torch.DType, value float64, shape ...int64) *Param {
	return i.make(name, false, dtype, value, nil, shape...)
}

// Fixed draws a constant from ±bound.
func (i Init) Fixed(name string, bound float64, shape ...int64) *Param {
	return i.make(name, false, torch.Float32, 0, i.within(name, bound), shape...)
}

// within fills from ±bound.
func (i Init) within(name string, bound float64) func(torch.Tensor) {
	return func(v torch.Tensor) { v.Uniform(-bound, bound, seed.Derive(i.Seed, "init/"+i.Prefix+name)) }
}

// Given returns a constant of the elements that a function gives.
func (i Init) Given(name string, elements func() []float64, shape ...int64) *Param {
	return i.given(name, torch.Float32, elements, shape...)
}

func (i Init) given(name string, dtype torch.DType, elements func() []float64, shape ...int64) *Param {
	return i.make(name, false, dtype, 0, func(v torch.Tensor) {
		s := i.Device.Scope(torch.NoGrad)
		defer s.Close()
		v.Copy(s.FromDoubles(elements(), shape...))
	}, shape...)
}

// Bias returns a parameter "bias" of n zeros.
func (i Init) Bias(n int) *Param { return i.constant("bias", 0, int64(n)) }

// Normal draws a parameter from N(0, std²).
func (i Init) Normal(name string, std float64, shape ...int64) *Param {
	return i.make(name, true, torch.Float32, 0, func(v torch.Tensor) {
		v.Normal(0, std, seed.Derive(i.Seed, "init/"+i.Prefix+name))
	}, shape...)
}

// Embedding is [Init.Normal] for what is added to features.
func (i Init) Embedding(name string, std float64, shape ...int64) *Param {
	p := i.Normal(name, std, shape...)
	p.Embedding = true
	return p
}

// heNormal draws from N(0, 2/fan) (He et al. 2015).
func (i Init) heNormal(name string, fan int, shape ...int64) *Param {
	return i.Normal(name, math.Sqrt(2/float64(fan)), shape...)
}

// dirac draws a kernel [out, in, k, k] from ±1/√fan and puts that of the identity into the first min(out, in) outputs.
func (i Init) dirac(name string, fan int, shape ...int64) *Param {
	draw := i.within(name, 1/math.Sqrt(float64(fan)))
	return i.make(name, true, torch.Float32, 0, func(v torch.Tensor) {
		draw(v)
		same, row, kernel := min(shape[0], shape[1]), shape[1]*shape[2]*shape[3], shape[2]*shape[3]
		identity := make([]float64, same*row)
		for c := range same {
			identity[c*row+c*kernel+kernel/2] = 1
		}
		s := i.Device.Scope(torch.NoGrad)
		defer s.Close()
		s.Narrow(v, 0, 0, same).Copy(s.FromDoubles(identity, same, shape[1], shape[2], shape[3]))
	}, shape...)
}

// uniform draws from ±1/√fan, PyTorch's default for linear layers.
func (i Init) uniform(name string, fan int, shape ...int64) *Param {
	return i.make(name, true, torch.Float32, 0, i.within(name, 1/math.Sqrt(float64(fan))), shape...)
}
