package store

import (
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/safetensors"
	"github.com/locus-learn/locus/torch"
)

// kept is a signal in the host's memory, in buffers that the next one takes over.
type kept struct{ parts []part }

// part is a tensor of it.
type part struct {
	name  string
	dtype torch.DType
	shape []int64
	data  []byte
}

// next returns a part to be filled, with the buffer of the one that was there before.
func (k *kept) next() *part {
	n := len(k.parts)
	if n < cap(k.parts) {
		k.parts = k.parts[:n+1]
	} else {
		k.parts = append(k.parts, part{})
	}
	return &k.parts[n]
}

// copy takes over a signal's elements. It consumes the signal.
func (k *kept) copy(s local.Signal) {
	defer s.Free()
	k.parts = k.parts[:0]
	for _, t := range s.Parts() {
		if !t.Value.Defined() {
			continue
		}
		p := k.next()
		p.name, p.dtype, p.shape = t.Name, t.Value.DType(), t.Value.Shape()
		p.data = t.Value.DataInto(p.data)
	}
}

// signal makes a signal of the elements, on a device. The caller owns it.
func (k *kept) signal(device torch.Device) (s local.Signal) {
	for _, t := range s.Parts() {
		for _, p := range k.parts {
			if p.name == t.Name {
				*t.Value = device.Away(p.dtype, p.shape...)
				t.Value.Return(p.data, false)
			}
		}
	}
	return s
}

// bytes of the elements.
func (k *kept) bytes() (sum int64) {
	for _, p := range k.parts {
		sum += int64(len(p.data))
	}
	return sum
}

// tensors describes the parts to the format's writer.
func (k *kept) tensors() (all []safetensors.Tensor) {
	for _, p := range k.parts {
		all = append(all, safetensors.Tensor{
			Name: p.name, DType: safetensors.DType(p.dtype.Code()), Shape: p.shape, Load: func(*[]byte) ([]byte, error) { return p.data, nil },
		})
	}
	return all
}

// read takes over what a file has.
func (k *kept) read(f *safetensors.File) (err error) {
	k.parts = k.parts[:0]
	for _, name := range f.Names() {
		info, _ := f.Info(name)
		p := k.next()
		p.name, p.shape = name, info.Shape
		p.dtype, _ = torch.DTypeByCode(string(info.DType))
		if p.data, err = f.ReadInto(name, p.data); err != nil {
			return err
		}
	}
	return nil
}

// HostQueue is a [local.Queue] in the host's memory, for signals that are made on a device.
type HostQueue struct {
	device torch.Device
	places map[int]*kept
}

// NewHostQueue returns a queue of signals on a device.
func NewHostQueue(device torch.Device) *HostQueue { return &HostQueue{device, map[int]*kept{}} }

// Put implements [local.Queue].
func (q *HostQueue) Put(place int, s local.Signal) (err error) {
	defer torch.Catch(&err)
	if q.places[place] == nil {
		q.places[place] = &kept{}
	}
	q.places[place].copy(s)
	return nil
}

// Take implements [local.Queue].
func (q *HostQueue) Take(place, _ int) (s local.Signal, err error) {
	defer torch.Catch(&err)
	return q.places[place].signal(q.device), nil
}

// Settle implements [local.Queue].
func (*HostQueue) Settle() error { return nil }
