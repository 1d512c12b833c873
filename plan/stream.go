package plan

import "github.com/locus-learn/locus/torch"

// Streaming is what comes and goes where only some modules are in memory: see [local.Residents].
type Streaming struct {
	Resident     int   `json:"resident"`      // modules in memory
	Visit        int   `json:"visit"`         // batches that a module trains on in a row
	Spilled      bool  `json:"spilled"`       // signals wait in files, too
	ReadBytes    int64 `json:"read_bytes"`    // a step, of the store
	WrittenBytes int64 `json:"written_bytes"` // a step, to the store
	DiskBytes    int64 `json:"disk_bytes"`    // at the highest; checkpoints come on top
	WaitingBytes int64 `json:"waiting_bytes"` // of the signals between two modules that wait in memory, at the highest
	BufferBytes  int64 `json:"buffer_bytes"`  // of the host's memory, beside all tensors, where signals wait in files
}

// Streamed is a prediction of the same cuts with so many modules in memory and batches a visit, whose signals wait in files or
// in memory.
func (p *Planner) Streamed(r Prediction, resident, visit int, spilled bool) Prediction {
	r.stream(p, &Streaming{Resident: resident, Visit: visit, Spilled: spilled})
	return r
}

// stream completes a prediction for so many modules in memory, of which all but the last two stay, and batches a visit.
func (r *Prediction) stream(p *Planner, s *Streaming) {
	k, resident, visit := len(r.Modules), s.Resident, s.Visit
	stay := max(0, resident-2)
	if resident >= k {
		stay = k
	}
	rest := func(i int) int64 { return r.Modules[i].ParameterBytes + r.Modules[i].OptimizerBytes }
	var staying, largest int64
	for i := range k {
		if i < stay {
			staying += rest(i)
			continue
		}
		largest = max(largest, rest(i))
		s.DiskBytes += rest(i)
	}
	s.ReadBytes, s.WrittenBytes = s.DiskBytes/int64(visit), s.DiskBytes/int64(visit)
	if s.DiskBytes > 0 {
		s.DiskBytes += largest // a module is saved beside its last file
	}
	if s.Spilled {
		s.spillSignals(p, r)
	}
	r.PeakBytes = 0
	for i, m := range r.Modules {
		in := staying
		if i >= stay {
			in += rest(i)
		}
		if single := resident == 1; !single && stay < k { // another one comes or goes
			before, behind := i-1, i+1
			if before < stay {
				before = k - 1
			}
			if behind == k {
				behind = stay
			}
			if i < stay {
				in += max(rest(k-1), rest(stay))
			} else {
				in += max(rest(before), rest(behind))
			}
		}
		waiting := int64(visit-1) * max(p.signalBytes(r, i), p.signalBytes(r, i+1))
		if s.Spilled {
			waiting = 0
		}
		s.WaitingBytes = max(s.WaitingBytes, waiting)
		r.PeakBytes = max(r.PeakBytes, in+m.ActivationBytes+waiting)
	}
	r.Streaming = s
}

// spillSignals counts signals that wait in files: one in front of each module for each batch, written and read once.
func (s *Streaming) spillSignals(p *Planner, r *Prediction) {
	var largest int64
	for i := range r.Modules {
		bytes := p.signalBytes(r, i)
		s.ReadBytes += bytes
		s.WrittenBytes += bytes
		largest = max(largest, bytes)
	}
	s.DiskBytes += int64(s.Visit) * largest
	s.BufferBytes = 2 * largest
}

// signalBytes is what a signal in front of the i-th module holds, or behind the last one.
func (p *Planner) signalBytes(r *Prediction, i int) int64 {
	labels := 8 * int64(r.Batch)
	if i == len(r.Modules) {
		return labels
	}
	rows := float64(r.Batch * p.views())
	images := rows * sampleBytes(p.parts.Net.Input, torch.Float32)
	from := 0
	for _, m := range r.Modules[:i] {
		from += len(m.Blocks)
	}
	dtype := p.spec.DType
	bytes := rows * sampleBytes(p.blocks[from].in, dtype)
	if p.term && i > 0 {
		bytes *= 2 // with r
	}
	if p.parts.Rule.Needs.Image {
		bytes += images
	}
	return labels + int64(bytes)
}
