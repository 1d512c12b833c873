package zoo

import (
	"fmt"
	"slices"

	"github.com/locus-learn/locus/nn"
)

// aux is what a method needs in its modules besides bodies and heads.
type aux struct {
	name, prefix string // parameters are named <prefix>.<k>.…
	build        func(at Cut, init nn.Init) (nn.Layer, error)
}

var auxes = []aux{{"decoder", "decoders", newDecoder}}

// NewAux builds what a method asks for under a name for the module in front of a cut; nil for "". It panics on a name
// that is not listed: methods name it, not users.
func NewAux(name string, at Cut, init nn.Init) (nn.Layer, error) {
	if name == "" {
		return nil, nil
	}
	i := slices.IndexFunc(auxes, func(a aux) bool { return a.name == name })
	if i < 0 {
		panic(fmt.Sprintf("zoo: no %q", name))
	}
	return auxes[i].build(at, init.In(fmt.Sprintf("%s.%d", auxes[i].prefix, at.Module)))
}
