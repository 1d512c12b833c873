package train

import (
	"fmt"
	"math"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/host"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/plan"
	"github.com/locus-learn/locus/torch"
)

// surroundings tells what a run may take; tests have another one.
var surroundings = struct {
	memory func() int64         // that the process may have
	free   func() (int64, bool) // of it
	disk   func(dir string) (int64, bool)
}{host.Memory, host.Free, disk.Free}

// fits finds out, before anything of a run is written, whether memory and disk will do: where they cannot, it returns a
// fault; where they may not, it warns.
func (r *Run) fits(o Options) error {
	if err := r.fitsMemory(o.Notice); err != nil {
		return err
	}
	return r.fitsDisk(o.Notice)
}

// atMost is by how much more than its blocks' outputs a module's pass may take, roughly: below that the planner is not asked,
// which takes a while.
const atMost = 16

// fitsMemory compares what a step takes with the memory there is. The system would end the process without a word.
func (r *Run) fitsMemory(notice func(string)) error {
	free, told := surroundings.free()
	if !told || r.model.Device() != torch.CPU {
		return nil // a card's shortage is an error that says what was asked for
	}
	batches := r.batchBytes()
	least := r.leastBytes() + batches
	if least < free/atMost {
		return nil
	}
	about, certain := least, least/2 // backward may make some outputs again
	if planned := r.plannedBytes(); planned > 0 {
		about, certain = planned+batches, planned+batches
	}
	const cure = "a smaller data.batch, image or model.width needs less, and so do more method.modules or method.checkpoint=blocks"
	switch memory := surroundings.memory(); {
	case certain > memory:
		return fault.New("a step takes about %s of memory, and this process may have %s: %s", size(about), size(memory), cure)
	case about > free:
		notice(fmt.Sprintf("a step takes about %s of memory, and %s are free: the system may end the run without a word; %s",
			size(about), size(free), cure))
	}
	return nil
}

// leastBytes is what a step takes besides the weights at the least: the outputs of the largest module's blocks, or of all of
// them in a pipeline, and the gradients.
func (r *Run) leastBytes() int64 {
	m := r.model
	rows := float64(m.Config.Data.Batch * m.Views())
	var largest, sum float64
	from := 0
	for i, end := range m.Ends {
		var values float64
		for _, b := range m.Net.Blocks[from:end] {
			values += float64(b.Out.C) * float64(max(1, b.Out.H*b.Out.W, b.Out.Tokens))
		}
		values *= rows * float64(m.DType.Size())
		for _, t := range m.Modules()[i].Theta() {
			values += float64(t.Bytes())
		}
		largest, sum, from = max(largest, values), sum+values, end
	}
	if m.Pipeline > 0 {
		largest = sum
	}
	return int64(min(largest, math.MaxInt64/4))
}

// plannedBytes is what the planner says of a step, without what rests; 0 of a method that it does not know.
func (r *Run) plannedBytes() int64 {
	if r.model.Spec == nil || r.model.Pipeline > 0 || r.model.Streams() || len(r.model.Ends) == 0 {
		return 0
	}
	defer torch.Pin()()
	p, err := plan.New(*r.model.Spec, plan.Options{Most: r.model.Config.Data.Batch})
	if err != nil {
		return 0
	}
	defer p.Free()
	at, err := p.Predict(r.model.Ends, r.model.Config.Data.Batch)
	if err != nil {
		return 0
	}
	return at.ActivationBytes
}

// batchBytes is what the loaders' buffers take once all are full.
func (r *Run) batchBytes() int64 {
	buffers := data.BatchOptions{Workers: r.model.Config.Data.Workers, Ahead: readAhead(r.model, r.info)}.Buffers()
	bytes := bufferBytes(r.model, r.info) * float64(buffers)
	return int64(min(bytes, math.MaxInt64/4))
}

// fitsDisk compares what a checkpoint takes with what is free where the run folder lies. A file is replaced by a whole new
// one, so that there are two of each for a moment.
func (r *Run) fitsDisk(notice func(string)) error {
	free, told := surroundings.disk(r.folder.Dir)
	if !told {
		return nil
	}
	weights, state := r.savedBytes()
	once := weights + state
	most := int64(r.model.Config.Checkpoint.Keep+1) * once
	for _, more := range []bool{r.model.Config.Optim.EMA > 0, r.set.Part(data.Validation).Len() > 0} { // ema and best
		if more {
			most += 2 * weights
		}
	}
	there := r.folder.Bytes()
	switch {
	case free+there < once:
		return fault.New("a checkpoint takes %s, and %s are free in %s: make room, or give another --out",
			size(once), size(free), show.Name(r.folder.Dir))
	case free+there < most:
		notice(fmt.Sprintf("checkpoints take up to %s, with room for two of each file, and %s are free in %s: saving may fail until there is more",
			size(most), size(free), show.Name(r.folder.Dir)))
	}
	return nil
}

// savedBytes is the size of the weights' file and of the state's, but for their headers.
func (r *Run) savedBytes() (weights, state int64) {
	for _, p := range r.model.Params() {
		weights += p.Value.Bytes()
	}
	for _, m := range r.model.Modules() {
		state += stateBytes(m)
	}
	return weights, state
}

func stateBytes(m *local.Module) (bytes int64) {
	if m.Optim == nil {
		return 0
	}
	for _, s := range m.Optim.State() {
		bytes += s.Value.Bytes()
	}
	return bytes
}

// size shows bytes in the unit that suits them.
func size(n int64) string {
	unit, x := "KiB", float64(n)/(1<<10)
	for _, larger := range []string{"MiB", "GiB", "TiB"} {
		if x < 1024 {
			break
		}
		unit, x = larger, x/1024
	}
	return fmt.Sprintf("%.1f %s", x, unit)
}
