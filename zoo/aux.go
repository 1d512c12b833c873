package zoo

import (
	"errors"
	"fmt"
	"slices"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/nn"
)

// aux is what a method needs in its modules besides bodies and heads.
type aux struct {
	name, prefix string // parameters are named <prefix>.<k>.…
	last         bool   // the last module has it, too
	build        func(at Cut, init nn.Init) (nn.Layer, error)
}

var auxes = []aux{
	{"decoder", "decoders", false, newDecoder},
	{"feedback", "feedback", true, newFeedback},
	{"projection", "feedback", true, newProjection},
	{"modulation", "feedback", true, newModulation},
}

// NewAux builds what a method asks for under a name for the module in front of a cut; nil for "", and where that module
// goes without. It panics on a name that is not listed: methods name it, not users.
func NewAux(name string, at Cut, init nn.Init) (nn.Layer, error) {
	if name == "" {
		return nil, nil
	}
	i := slices.IndexFunc(auxes, func(a aux) bool { return a.name == name })
	if i < 0 {
		panic(fmt.Sprintf("zoo: no %q", name))
	}
	if at.Module == at.Modules && !auxes[i].last {
		return nil, nil
	}
	init = init.In(fmt.Sprintf("%s.%d", auxes[i].prefix, at.Module))
	err := rehearse(&init, func(init nn.Init) (nn.Layer, error) { return auxes[i].build(at, init) })
	if tooLarge, ok := errors.AsType[*nn.TooLarge](err); ok {
		return nil, fault.New("method.name asks for a %s: %w: fits with a smaller model.width or model.classes", name, tooLarge)
	}
	if err != nil {
		return nil, err
	}
	return auxes[i].build(at, init)
}
