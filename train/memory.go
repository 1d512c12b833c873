package train

import (
	"cmp"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/torch"
)

// OutOfMemory words an engine's error of that kind for the user: what was asked for, and what needs less.
func OutOfMemory(e *torch.Error) *fault.Fault {
	return fault.New("not enough memory (%s): a smaller data.batch, image or model.width needs less, and so do more method.modules, method.checkpoint=blocks, or cuts for a budget ('locus plan --memory')",
		cmp.Or(e.Shortage().String(), "in "+e.Op))
}
