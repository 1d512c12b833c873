package train

import (
	"fmt"
	"strings"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/model"
	"github.com/locus-learn/locus/plan"
	"github.com/locus-learn/locus/torch"
)

// process is what a process of Locus takes besides tensors: code, libraries, their workspaces, loaders.
const process = 340 << 20

// within changes a recipe so that its process stays within so many bytes of memory: cuts, checkpoints, modules in memory,
// batches a visit and, where nothing else will do, the batch. It says what it chose and what that costs.
func (c Config) within(in model.Input, memory int64, notice func(string)) (Config, error) {
	defer torch.Pin()()
	if memory <= process {
		return c, fault.New("--memory is %s: must be more than %s, which a process takes besides tensors", size(memory), size(process))
	}
	way, ok, err := plan.Within(c.Spec(in), c.Data.Batch, memory-process, plan.Options{})
	if err != nil {
		return c, err
	}
	if !ok {
		return c, fault.New("--memory is %s: must be at least %s, with %s: %s, beside %s of the process; a smaller model.width or model.image takes less",
			size(memory), size(way.PeakBytes+process), way, way.Why(), size(process))
	}
	c.Method.Modules, c.Method.Cuts, c.Method.Checkpoint = len(way.Modules), way.Cuts, way.Checkpoint
	if way.Streaming != nil {
		c.Method.Resident, c.Method.Visit = way.Streaming.Resident, way.Streaming.Visit
		if way.Streaming.Spilled {
			c.Method.Signals = "spill"
		}
	}
	c.Data.Batch, c.Optim.Accumulate = way.Batch, c.Optim.Accumulate*way.Accumulate
	text := fmt.Sprintf("within %s: %s; %s of tensors; about %.2f times the time of the fastest way",
		size(memory), way, size(way.PeakBytes), way.Price)
	if way.Accumulate > 1 {
		text += "; batch statistics are those of the smaller batches"
	}
	notice(strings.TrimSpace(text))
	return c, nil
}
