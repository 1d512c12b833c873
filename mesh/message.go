package mesh

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"time"

	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/torch/dist"
)

// Lanes of a group: each has an order of its own.
const (
	laneForward = iota // batches and commands, from rank to rank
	laneReply          // to rank 0
	laneBeat           // signs of life
	laneHello          // before the first step
)

// kind says what a message is.
type kind byte

const (
	trains    kind = iota + 1 // on a batch
	drains                    // tell what has not been told
	evaluates                 // count right answers
	fetches                   // a tensor, for a checkpoint
	swaps                     // parameters and their averages
	inspects                  // whether all parameters are finite
	weighs                    // what memory each rank has needed
	closes                    // the run is over
	kinds
)

// message travels in front of a batch, or alone.
type message struct {
	kind         kind
	at           local.Tick
	epoch, batch int64    // where a batch comes from
	found        []record // by the modules so far
	rest         rest
}

// record is what a module has found at a step.
type record struct {
	module         int // from 1
	step           int
	loss, sgr, cos float64
	busy, wait     time.Duration
}

// rest is what few messages have.
type rest struct {
	Scores  []score  `json:",omitempty"`
	Failure *failure `json:",omitempty"`
	Module  int      `json:",omitempty"` // of a tensor to be fetched, from 1
	Index   int      `json:",omitempty"` // among the module's parameters or, if State, its optimizer's tensors
	State   bool     `json:",omitempty"`
	Spoilt  string   `json:",omitempty"` // the name of a tensor that is not finite
	Of      int      `json:",omitempty"` // its module
	Held    []Held   `json:",omitempty"` // by the ranks so far
}

// Held is the memory of a rank.
type Held struct {
	Peak    int64 // the most bytes of tensors that were alive at once, while it trained on a batch
	Resting int64 // of its modules, between steps
}

// score is [local.Score] with sums as bits, since JSON has no NaN.
type score struct {
	Top1, Top5, N int
	Loss          uint64
	Sums          []uint64
}

// failure is an error that has to be told to other ranks.
type failure struct {
	Text                 string
	Diverged, Lossless   bool
	Module, Step         int
	Loss                 uint64
	OutOfMemory, Faulted bool
}

const (
	fixedBytes  = 1 + 5*8 + 4
	recordBytes = 2*4 + 5*8
	mostRecords = 1 << 14
)

// HeadBytes is the length of what travels with a batch that so many modules have reported on, beside its tensors.
func HeadBytes(records int) int64 { return fixedBytes + int64(records)*recordBytes }

var errMessage = errors.New("mesh: a message cannot be read: it is not of this program's version")

// encode writes a message.
func (m message) encode() ([]byte, error) {
	b := []byte{byte(m.kind)}
	for _, v := range []uint64{uint64(m.at.Step), math.Float64bits(m.at.Done), math.Float64bits(m.at.LR), uint64(m.epoch), uint64(m.batch)} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(m.found)))
	for _, r := range m.found {
		b = binary.LittleEndian.AppendUint32(b, uint32(r.module))
		b = binary.LittleEndian.AppendUint32(b, uint32(r.step))
		for _, v := range []float64{r.loss, r.sgr, r.cos} {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		}
		b = binary.LittleEndian.AppendUint64(b, uint64(r.busy))
		b = binary.LittleEndian.AppendUint64(b, uint64(r.wait))
	}
	if m.rest.empty() {
		return b, nil
	}
	text, err := json.Marshal(m.rest)
	return append(b, text...), err
}

func (r rest) empty() bool {
	return len(r.Scores) == 0 && r.Failure == nil && r.Module == 0 && !r.State && r.Index == 0 && r.Spoilt == "" && len(r.Held) == 0
}

// decode reads what encode has written.
func decode(b []byte) (m message, err error) {
	if len(b) < fixedBytes || b[0] == 0 || kind(b[0]) >= kinds {
		return m, errMessage
	}
	at := b[1:]
	next := func() uint64 {
		v := binary.LittleEndian.Uint64(at)
		at = at[8:]
		return v
	}
	m.kind = kind(b[0])
	m.at.Step, m.at.Done, m.at.LR = int(next()), math.Float64frombits(next()), math.Float64frombits(next())
	m.epoch, m.batch = int64(next()), int64(next())
	n := int(binary.LittleEndian.Uint32(at))
	at = at[4:]
	if n > mostRecords || len(at) < n*recordBytes {
		return m, errMessage
	}
	for range n {
		r := record{module: int(binary.LittleEndian.Uint32(at)), step: int(binary.LittleEndian.Uint32(at[4:]))}
		at = at[8:]
		r.loss, r.sgr, r.cos = math.Float64frombits(next()), math.Float64frombits(next()), math.Float64frombits(next())
		r.busy, r.wait = time.Duration(next()), time.Duration(next())
		m.found = append(m.found, r)
	}
	if len(at) == 0 {
		return m, nil
	}
	if json.Unmarshal(at, &m.rest) != nil {
		return m, errMessage
	}
	return m, nil
}

// parcel puts a message in front of a signal's tensors.
func (m message) parcel(s local.Signal) (dist.Parcel, error) {
	head, err := m.encode()
	p := dist.Parcel{Head: head}
	if s.X.Defined() || s.Y.Defined() {
		p.Tensors = []torch.Tensor{s.X, s.Y, s.Delta, s.Image, s.Error, s.Mod}
	}
	return p, err
}

// open takes a parcel apart. The signal takes over its tensors.
func open(p dist.Parcel) (m message, s local.Signal, err error) {
	if m, err = decode(p.Head); err != nil {
		p.Free()
		return m, s, err
	}
	switch len(p.Tensors) {
	case 0:
	case 1:
		s.X = p.Tensors[0]
	case 6:
		s = local.Signal{X: p.Tensors[0], Y: p.Tensors[1], Delta: p.Tensors[2], Image: p.Tensors[3], Error: p.Tensors[4], Mod: p.Tensors[5]}
	default:
		p.Free()
		err = errMessage
	}
	return m, s, err
}

// failed words an error for other ranks.
func failed(err error) *failure {
	if err == nil {
		return nil
	}
	f := &failure{Text: err.Error()}
	if d, ok := errors.AsType[*local.Diverged](err); ok {
		f.Diverged, f.Module, f.Step, f.Loss = true, d.Module, d.Step, math.Float64bits(d.Loss)
		f.Lossless = d.Lossless()
	}
	return f
}

// error is the error that a failure stands for on another rank.
func (f *failure) error() error {
	switch {
	case f == nil:
		return nil
	case f.Diverged:
		return local.NewDiverged(f.Module, f.Step, math.Float64frombits(f.Loss), f.Lossless)
	}
	return errors.New(f.Text)
}

func scoresOf(all []local.Score) (out []score) {
	for _, s := range all {
		e := score{Top1: s.Top1, Top5: s.Top5, N: s.N, Loss: math.Float64bits(s.Loss)}
		for _, v := range s.Sums {
			e.Sums = append(e.Sums, math.Float64bits(v))
		}
		out = append(out, e)
	}
	return out
}

func (s score) score() local.Score {
	out := local.Score{Top1: s.Top1, Top5: s.Top5, N: s.N, Loss: math.Float64frombits(s.Loss)}
	for _, v := range s.Sums {
		out.Sums = append(out.Sums, math.Float64frombits(v))
	}
	return out
}
