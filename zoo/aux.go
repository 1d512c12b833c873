package zoo

import (
	"fmt"
	"slices"

	"github.com/locus-learn/locus/nn"
)

// aux is what a method needs in its modules besides bodies and heads.
type aux struct {
	name  string
	build func(k int, net *Network, out nn.Shape, init nn.Init) (nn.Layer, error)
}

var auxes = []aux{}

// NewAux builds what a method asks for under a name for module k (from 1), whose features are of shape out; nil for "".
// It panics on a name that is not listed: methods name it, not users.
func NewAux(name string, k int, net *Network, out nn.Shape, init nn.Init) (nn.Layer, error) {
	if name == "" {
		return nil, nil
	}
	i := slices.IndexFunc(auxes, func(a aux) bool { return a.name == name })
	if i < 0 {
		panic(fmt.Sprintf("zoo: no %q", name))
	}
	return auxes[i].build(k, net, out, init)
}
