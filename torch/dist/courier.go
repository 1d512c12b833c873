package dist

import "github.com/locus-learn/locus/torch"

// carry moves the elements of flat tensors, none of which is empty.
type carry func(s *torch.Scope, ts []torch.Tensor) error

// post sends a parcel's preamble and header over Gloo, and its tensors by a function.
func (g *gloo) post(p Parcel, to, lane int, tensors carry) (err error) {
	defer torch.Catch(&err)
	if err := others(to, g.place.Rank, g.place.Size); err != nil {
		return err
	}
	s := torch.NewScopeOn(torch.CPU, torch.NoGrad)
	defer s.Close()
	forms := make([]form, len(p.Tensors))
	var full []torch.Tensor
	for i, t := range p.Tensors {
		if forms[i].none = !t.Defined(); forms[i].none {
			continue
		}
		var d torch.Tensor
		if d, forms[i] = dense(s, t); forms[i].elements() > 0 {
			full = append(full, flat(s, d))
		}
	}
	header, err := encodeHeader(forms, p.Head)
	if err != nil {
		return err
	}
	for _, b := range [][]byte{preamble(len(header)), header} {
		if err := g.say(b, to, lane); err != nil {
			return err
		}
		g.traffic.sent.Add(int64(len(b)))
	}
	if len(full) == 0 {
		return nil
	}
	for _, t := range full {
		g.traffic.sent.Add(t.Bytes())
	}
	return tensors(s, full)
}

// fetch receives what post has sent. The tensors are made on a device, and put where the group wants them.
func (g *gloo) fetch(from, lane int, made torch.Device, tensors carry) (p Parcel, err error) {
	defer torch.Catch(&err)
	if err := others(from, g.place.Rank, g.place.Size); err != nil {
		return p, err
	}
	s := torch.NewScopeOn(torch.CPU, torch.NoGrad)
	defer s.Close()
	b, err := g.hear(preambleSize, from, lane)
	if err != nil {
		return p, err
	}
	n, err := headerLength(b)
	if err != nil {
		return p, err
	}
	if b, err = g.hear(n, from, lane); err != nil {
		return p, err
	}
	g.traffic.received.Add(int64(preambleSize + n))
	forms, head, err := decodeHeader(b)
	if err != nil {
		return p, err
	}
	all := make([]torch.Tensor, len(forms))
	var full []torch.Tensor
	for i, f := range forms {
		if f.none {
			continue
		}
		if all[i] = empty(s, made, f); f.elements() > 0 {
			full = append(full, flat(s, all[i]))
			g.traffic.received.Add(all[i].Bytes())
		}
	}
	if len(full) > 0 {
		if err := tensors(s, full); err != nil {
			return p, err
		}
	}
	for i, t := range all {
		if t.Defined() {
			all[i] = placed(s, t, forms[i], g.place.Device)
		}
		all[i].Keep()
	}
	return Parcel{Head: head, Tensors: all}, nil
}

// placed returns the tensor on a device.
func placed(s *torch.Scope, t torch.Tensor, f form, device torch.Device) torch.Tensor {
	if t.Device() == device {
		return t
	}
	defer t.Free()
	there := empty(s, device, f)
	there.Copy(t)
	return there
}

// say sends bytes over Gloo.
func (g *gloo) say(b []byte, to, lane int) error {
	s := torch.NewScopeOn(torch.CPU, torch.NoGrad)
	defer s.Close()
	return g.send(s.FromBytes(torch.Uint8, b, int64(len(b))), to, lane)
}

// hear receives n bytes over Gloo.
func (g *gloo) hear(n, from, lane int) ([]byte, error) {
	s := torch.NewScopeOn(torch.CPU, torch.NoGrad)
	defer s.Close()
	t := empty(s, torch.CPU, form{dtype: torch.Uint8, sizes: []int64{int64(n)}, strides: []int64{1}})
	if err := g.receive(t, from, lane); err != nil {
		return nil, err
	}
	return t.Data(), nil
}
