package nn

// Option changes how [NewConv2d] and [NewLinear] make a layer. Options are applied in order.
type Option func(*maker)

// maker is what the options say.
type maker struct {
	padding int
	bias    bool
	start   start
}

// start draws a layer's parameters. in and out are its fans: what one output sums over, what one input goes to.
type start struct {
	weight func(i Init, in, out int, shape []int64) *Param
	bias   func(i Init, in, n int) *Param
}

// Padding adds so many rows and columns of zeros on each side of a convolution's input.
func Padding(n int) Option { return func(m *maker) { m.padding = n } }

// Bias says whether the layer has one. Convolutions have none unless told, linear layers have one.
func Bias(has bool) Option { return func(m *maker) { m.bias = has } }

// HeNormal draws the weight from N(0, 2/fan-out) (He et al. 2015); a bias is 0. It is how convolutions start.
func HeNormal() Option {
	return func(m *maker) {
		m.start = start{func(i Init, _, out int, shape []int64) *Param { return i.heNormal("weight", out, shape...) }, zeroBias}
	}
}

// Uniform draws weight and bias from ±1/√fan-in, as PyTorch does. It is how linear layers start.
func Uniform() Option {
	return func(m *maker) {
		m.start = start{
			func(i Init, in, _ int, shape []int64) *Param { return i.uniform("weight", in, shape...) },
			func(i Init, in, n int) *Param { return i.uniform("bias", in, int64(n)) },
		}
	}
}

// Dirac makes a convolution of odd size and stride 1 begin by handing its input on: output i is input i, as far as there
// are both (PyTorch's dirac_). Outputs without an input of their number have weights from ±1/√fan-in. A bias is 0.
func Dirac() Option {
	return func(m *maker) {
		m.start = start{func(i Init, in, _ int, shape []int64) *Param { return i.dirac("weight", in, shape...) }, zeroBias}
	}
}

// Normal draws the weight from N(0, std²), as transformers start; a bias is 0.
func Normal(std float64) Option {
	return func(m *maker) {
		m.start = start{func(i Init, _, _ int, shape []int64) *Param { return i.Normal("weight", std, shape...) }, zeroBias}
	}
}

func zeroBias(i Init, _, n int) *Param { return i.Bias(n) }

// with applies options.
func (m maker) with(options []Option) maker {
	for _, o := range options {
		o(&m)
	}
	return m
}

// make returns weight and bias, the latter nil if there is none, of a layer with so many outputs.
func (m maker) make(i Init, in, out, outputs int, shape ...int64) (weight, bias *Param) {
	weight = m.start.weight(i, in, out, shape)
	if m.bias {
		bias = m.start.bias(i, in, outputs)
	}
	return weight, bias
}
