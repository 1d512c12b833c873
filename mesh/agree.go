package mesh

import (
	"encoding/json"
	"errors"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/torch/dist"
)

// verdict is what rank 0 makes of what all ranks have said.
type verdict struct {
	Problem string `json:",omitempty"`
	Fault   bool   `json:",omitempty"`
	Answer  []byte `json:",omitempty"`
}

// Exchange lets rank 0 judge what every rank has to say, before training. All ranks get its answer, or all its error, which is
// a fault where the judge's is. Only rank 0's judge is asked.
func (w *World) Exchange(own []byte, judge func(said [][]byte) ([]byte, error)) (answer []byte, err error) {
	if w.Rank > 0 {
		return w.present(own)
	}
	said := [][]byte{own}
	for rank := 1; rank < w.World; rank++ {
		p, err := w.all.Receive(rank, laneHello)
		if err != nil {
			return nil, w.explain(err)
		}
		said = append(said, p.Head)
	}
	w.begun = true
	answer, refused := judge(said)
	v := verdict{Answer: answer}
	if refused != nil {
		v = verdict{Problem: refused.Error(), Fault: fault.Is(refused)}
	}
	head, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	for rank := 1; rank < w.World; rank++ {
		if err := w.all.Send(dist.Parcel{Head: head}, rank, laneHello); err != nil {
			return nil, w.explain(err)
		}
	}
	return answer, refused
}

// present says something to rank 0 and waits for its verdict.
func (w *World) present(own []byte) ([]byte, error) {
	if err := w.all.Send(dist.Parcel{Head: own}, 0, laneHello); err != nil {
		return nil, w.explain(err)
	}
	p, err := w.all.Receive(0, laneHello)
	if err != nil {
		return nil, w.explain(err)
	}
	var v verdict
	switch err := json.Unmarshal(p.Head, &v); {
	case err != nil:
		return nil, errMessage
	case v.Fault:
		return nil, fault.New("%s", v.Problem)
	case v.Problem != "":
		return nil, errors.New(v.Problem)
	}
	return v.Answer, nil
}

// Begun reports whether the ranks have exchanged what they had to say: from then on they hear how the run ends.
func (w *World) Begun() bool { return w.begun }

// Able reports whether this program can talk to other processes.
func Able() bool { return dist.HasGloo() }

// NCCL returns the release of NCCL that moves tensors from card to card, or why there is none.
func NCCL() (release string, err error) { return dist.DescribeNCCL() }

// Refuse tells the other ranks, which wait in [World.Exchange], that rank 0 cannot begin.
func (w *World) Refuse(cause error) {
	w.Exchange(nil, func([][]byte) ([]byte, error) { return nil, cause })
}

// Name is how messages call a rank: by its number and its machine.
func (w *World) Name(rank int) string { return w.name(rank) }
