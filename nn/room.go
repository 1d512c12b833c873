package nn

import (
	"fmt"
	"math"

	"github.com/locus-learn/locus/torch"
)

// Room is the memory that parameters may take. [Init.Rehearse] finds out whether they fit, before any is allocated.
type Room struct {
	left     int64
	rehearse bool     // large parameters take no memory, none is filled, and what does not fit is a panic
	made     []*Param // in a rehearsal: to be freed when there is no room for the rest
}

// NewRoom returns room for so many bytes.
func NewRoom(bytes int64) *Room { return &Room{left: bytes} }

// TooLarge says that a parameter does not fit into its [Room].
type TooLarge struct {
	Name  string
	Shape []int64
}

func (e *TooLarge) Error() string {
	return fmt.Sprintf("parameter %s of %d elements does not fit into memory", e.Name, e.Shape)
}

// reserve takes the bytes of a tensor whose elements have so many. In a rehearsal it panics with a [TooLarge] where there
// is no room.
func (r *Room) reserve(name string, size int64, shape []int64) int64 {
	if r == nil {
		return 0
	}
	for _, n := range shape {
		if n > 0 && size > math.MaxInt64/n {
			size = math.MaxInt64
			break
		}
		size *= n
	}
	if r.rehearse && size > r.left {
		panic(&TooLarge{name, shape})
	}
	r.left = max(0, r.left-size)
	return size
}

// Fits ends a rehearsal where there is no room for float64 elements of a shape, which are needed only while a parameter is
// made of them.
func (i Init) Fits(name string, shape ...int64) {
	if i.Room.rehearsing() {
		bytes := i.Room.reserve(i.Prefix+name, 8, shape)
		i.Room.left += bytes
	}
}

// dry reports whether a tensor of so many bytes is to take no memory.
func (r *Room) dry(bytes int64) bool { return r.rehearsing() && bytes > smallest }

func (r *Room) rehearsing() bool { return r != nil && r.rehearse }

// smallest is the size in bytes from which on a rehearsal does without a tensor's memory.
const smallest = 64 << 10

// Rehearse calls build, which returns all parameters that it made with the Init it is given, to find out whether they fit
// into i's Room and are what i.Stored has. The large ones take no memory. A [TooLarge] is the error where they do not fit,
// and Stored's own where that has none.
func (i Init) Rehearse(build func(i Init) ([]*Param, error)) (err error) {
	left := int64(math.MaxInt64)
	switch {
	case i.Room != nil:
		left = i.Room.left
	case i.Stored == nil:
		return nil
	}
	i.Room = &Room{left: left, rehearse: true}
	defer func() {
		switch caught := recover().(type) {
		case nil:
			return
		case *TooLarge:
			err = caught
		case *notStored:
			err = caught.error
		case *torch.Error: // it writes into a parameter by itself: whether it fits is seen when it is built
		default:
			panic(caught)
		}
		Free(i.Room.made)
	}()
	params, err := build(i)
	Free(params)
	return err
}

// notStored carries the error of [Init.Stored] out of a rehearsal.
type notStored struct{ error }

// lookUp ends a rehearsal where a parameter is not what is stored, and reports whether it is [ErrSpare].
func (i Init) lookUp(name string, shape []int64) (spare bool) {
	if i.Stored == nil {
		return false
	}
	err := i.Stored(name, shape)
	if err != nil && err != ErrSpare && i.Room.rehearsing() {
		panic(&notStored{err})
	}
	return err == ErrSpare
}

// note remembers a parameter that was made.
func (r *Room) note(p *Param) {
	if r.rehearsing() {
		r.made = append(r.made, p)
	}
}
