package train

import (
	"fmt"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/torch"
)

// spoilt is a tensor that must not be saved. A loss can be finite while running statistics have become infinite: a checkpoint of
// such a network would take the place of one that can be used.
type spoilt struct {
	tensor       string
	module, step int
}

func (s *spoilt) Error() string {
	return fmt.Sprintf("%s of module %d is not finite after step %d", s.tensor, s.module, s.step)
}

// spoiled returns a [*spoilt] error if a parameter or buffer is not finite.
func (r *Run) spoiled() error {
	if r.mesh != nil {
		name, module, err := r.mesh.Spoilt()
		if err == nil && name != "" {
			err = &spoilt{name, module, r.at.Step}
		}
		return err
	}
	return r.model.Each(false, func(m *local.Module) error {
		for _, p := range m.Params {
			if p.Value.DType() != torch.Int64 && !torch.AllFinite([]torch.Tensor{p.Value}) {
				return &spoilt{p.Name, m.Index, r.at.Step}
			}
		}
		return nil
	})
}
