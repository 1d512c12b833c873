package mesh

import (
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/optim"
	"github.com/locus-learn/locus/torch"
)

// crew drives a rank's run of modules, one after the other, by the same workers as a chain or a pipeline.
type crew struct {
	chain     *local.Chain
	from, end int
	late      []*told // by module of the run: what a step has found that is not known yet
}

// told are the stats of a step, to be told when they have arrived.
type told struct {
	step  int
	stats local.Stats
}

func newCrew(c *local.Chain, s Shape, m int) *crew {
	from, end := s.Run(m, len(c.Modules()))
	return &crew{chain: c, from: from, end: end, late: make([]*told, end-from)}
}

// advance trains the run on a signal, which it consumes, and returns that for the next rank and what is known by now. Where
// numbers arrive late, that is what the step before has found.
func (c *crew) advance(in local.Signal, at local.Tick) (out local.Signal, found []record, err error) {
	out = in
	for i := c.from; i < c.end; i++ {
		var stats local.Stats
		if out, stats, err = c.chain.Worker(i).Advance(out, at); err != nil {
			return local.Signal{}, found, err
		}
		before := c.late[i-c.from]
		c.late[i-c.from] = &told{at.Step, stats}
		if before != nil {
			if found, err = c.tell(found, i, before); err != nil {
				break
			}
		}
		if !stats.Late() {
			if found, err = c.tell(found, i, c.late[i-c.from]); err != nil {
				break
			}
			c.late[i-c.from] = nil
		}
	}
	if err != nil {
		out.Free()
		out = local.Signal{}
	}
	return out, found, err
}

// tell waits for what the i-th module has found and adds it to a list.
func (c *crew) tell(found []record, i int, t *told) ([]record, error) {
	if err := t.stats.Arrive(); err != nil {
		return found, err
	}
	s := t.stats
	return append(found, record{i + 1, t.step, s.Loss, s.SGR, s.Cos, s.Busy, s.Wait}), nil
}

// drain tells what has not been told. All modules have taken all their steps then.
func (c *crew) drain() (found []record, err error) {
	for k, t := range c.late {
		c.late[k] = nil
		if t == nil {
			continue
		}
		var e error
		if found, e = c.tell(found, c.from+k, t); err == nil {
			err = e
		}
	}
	return found, err
}

// swap lets parameters and their averages change places.
func (c *crew) swap() {
	for _, m := range c.modules() {
		optim.SwapAverage(m.Optim)
	}
}

func (c *crew) modules() []*local.Module { return c.chain.Modules()[c.from:c.end] }

// resting is what the modules hold between steps, in bytes.
func (c *crew) resting() (sum int64) {
	for _, m := range c.modules() {
		sum += m.RestingBytes()
	}
	return sum
}

// spoilt returns the first parameter that is not finite, and its module.
func (c *crew) spoilt() (name string, module int) {
	for _, m := range c.modules() {
		for _, p := range m.Params {
			if p.Value.DType() != torch.Int64 && !torch.AllFinite([]torch.Tensor{p.Value}) {
				return p.Name, m.Index
			}
		}
	}
	return "", 0
}

// part frees the modules of other ranks.
func (c *crew) part() {
	for i, m := range c.chain.Modules() {
		if i < c.from || i >= c.end {
			m.Part()
		}
	}
}

// narrow returns a signal as it goes over a link.
func narrow(s local.Signal, bf16 bool) local.Signal {
	if bf16 {
		s.X, s.Delta, s.Mod = cast(s.X, torch.BFloat16), cast(s.Delta, torch.BFloat16), cast(s.Mod, torch.BFloat16)
	}
	return s
}

// widen undoes narrow.
func widen(s local.Signal, dtype torch.DType) local.Signal {
	s.X, s.Delta, s.Mod = cast(s.X, dtype), cast(s.Delta, dtype), cast(s.Mod, dtype)
	return s
}

// cast consumes t. Integers, such as tokens, stay as they are.
func cast(t torch.Tensor, dtype torch.DType) torch.Tensor {
	if !t.Defined() || t.DType() == dtype || t.DType() == torch.Int64 {
		return t
	}
	s := t.Device().Scope(torch.NoGrad)
	defer s.Close()
	defer t.Free()
	return s.Cast(t, dtype).Keep()
}
