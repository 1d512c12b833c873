package torchfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// What a pickle is made of besides texts, int64, float64 and bool; nil is None.
type (
	tuple  []any
	list   struct{ items []any }
	global struct{ module, name string }
	dict   struct{ keys, values []any }
	plain  struct{} // an object that holds settings; nothing of it counts
	mark   struct{}
)

// get returns the value of a text; nil if there is none.
func (d *dict) get(key string) any {
	for i, k := range d.keys {
		if k == key {
			return d.values[i]
		}
	}
	return nil
}

func kindOf(v any) string {
	switch v.(type) {
	case *dict:
		return "a dictionary"
	case *tensor:
		return "one tensor"
	case *list, tuple:
		return "a list"
	}
	return "something else"
}

// allowed are the names of Python that a state dict needs. What each stands for is made by [machine.reduce]; none is run.
var allowed = map[global]bool{
	{"collections", "OrderedDict"}: true, {"torch._utils", "_rebuild_tensor_v2"}: true, {"torch._utils", "_rebuild_parameter"}: true,
	{"torch", "Size"}: true, {"argparse", "Namespace"}: true,
}

// machine reads a pickle. Everything on its stack comes from bytes of the pickle, so that bounds it.
type machine struct {
	text  []byte
	at    int
	stack []any
	memo  map[uint32]any
}

var errCut = errors.New("its pickle is cut short")

// unpickle returns the one value of a pickle.
func unpickle(text []byte) (any, error) {
	m := &machine{text: text, memo: map[uint32]any{}}
	for {
		op, err := m.take(1)
		if err != nil {
			return nil, err
		}
		if op[0] == '.' {
			return m.pop()
		}
		if err := m.step(op[0]); err != nil {
			return nil, err
		}
	}
}

func (m *machine) take(n int) ([]byte, error) {
	if n < 0 || n > len(m.text)-m.at {
		return nil, errCut
	}
	m.at += n
	return m.text[m.at-n : m.at], nil
}

func (m *machine) push(v any) error {
	m.stack = append(m.stack, v)
	return nil
}

func (m *machine) pop() (any, error) {
	if len(m.stack) == 0 {
		return nil, errCut
	}
	v := m.stack[len(m.stack)-1]
	m.stack = m.stack[:len(m.stack)-1]
	return v, nil
}

// popMark returns what lies above the last mark.
func (m *machine) popMark() ([]any, error) {
	for i := len(m.stack) - 1; i >= 0; i-- {
		if _, ok := m.stack[i].(mark); ok {
			above := append([]any{}, m.stack[i+1:]...)
			m.stack = m.stack[:i]
			return above, nil
		}
	}
	return nil, errCut
}

// popN returns the n uppermost values, the lowest first.
func (m *machine) popN(n int) ([]any, error) {
	if len(m.stack) < n {
		return nil, errCut
	}
	above := append([]any{}, m.stack[len(m.stack)-n:]...)
	m.stack = m.stack[:len(m.stack)-n]
	return above, nil
}

// step does one operation. Their bytes are those of Python's pickle, protocols 2 to 5.
func (m *machine) step(op byte) error {
	switch op {
	case 0x80: // PROTO
		version, err := m.take(1)
		if err == nil && (version[0] < 2 || version[0] > 5) {
			err = fmt.Errorf("its pickle has protocol %d: must be 2 to 5", version[0])
		}
		return err
	case 0x95: // FRAME
		_, err := m.take(8)
		return err
	case '(':
		return m.push(mark{})
	case 'N':
		return m.push(nil)
	case 0x88, 0x89:
		return m.push(op == 0x88)
	case '}':
		return m.push(&dict{})
	case ']':
		return m.push(&list{})
	case ')':
		return m.push(tuple{})
	case 't', 0x85, 0x86, 0x87:
		return m.tuple(op)
	case 'K', 'M', 'J', 0x8a, 'G':
		return m.number(op)
	case 'X', 0x8c, 0x8d, 'U', 'T', 'C', 'B':
		return m.string(op)
	case 'q', 'r', 0x94, 'h', 'j':
		return m.remember(op)
	case 's', 'u', 'a', 'e', 'b':
		return m.put(op)
	case 'c', 0x93:
		return m.global(op)
	case 'R', 'Q', 0x81:
		return m.reduce(op)
	}
	return fmt.Errorf("its pickle has operation %#02x, which no state dict needs", op)
}

func (m *machine) tuple(op byte) (err error) {
	var parts []any
	if op == 't' {
		parts, err = m.popMark()
	} else {
		parts, err = m.popN(int(op - 0x84))
	}
	if err != nil {
		return err
	}
	return m.push(tuple(parts))
}

func (m *machine) number(op byte) error {
	size := map[byte]int{'K': 1, 'M': 2, 'J': 4, 0x8a: 1, 'G': 8}[op]
	b, err := m.take(size)
	if err != nil {
		return err
	}
	switch op {
	case 'K':
		return m.push(int64(b[0]))
	case 'M':
		return m.push(int64(binary.LittleEndian.Uint16(b)))
	case 'J':
		return m.push(int64(int32(binary.LittleEndian.Uint32(b))))
	case 'G':
		return m.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
	}
	digits, err := m.take(int(b[0])) // LONG1: little-endian, two's complement
	if err != nil || len(digits) > 8 {
		return errors.New("its pickle has a number of more than 64 bits, or is cut short")
	}
	var v int64
	for i := len(digits) - 1; i >= 0; i-- {
		v = v<<8 | int64(digits[i])
	}
	if n := len(digits); n > 0 && n < 8 && digits[n-1] >= 0x80 {
		v -= 1 << (8 * n)
	}
	return m.push(v)
}

func (m *machine) string(op byte) error {
	size := map[byte]int{0x8c: 1, 'U': 1, 'C': 1, 0x8d: 8}[op]
	if size == 0 {
		size = 4
	}
	b, err := m.take(size)
	if err != nil {
		return err
	}
	n := uint64(0)
	for i := len(b) - 1; i >= 0; i-- {
		n = n<<8 | uint64(b[i])
	}
	if n > uint64(len(m.text)) {
		return errCut
	}
	text, err := m.take(int(n))
	if err != nil {
		return err
	}
	if !utf8.Valid(text) && op != 'C' && op != 'B' {
		return errors.New("its pickle has a text that is no UTF-8")
	}
	return m.push(string(text))
}

// remember puts the uppermost value into the memo, or one of the memo on the stack.
func (m *machine) remember(op byte) error {
	var number uint32
	switch op {
	case 'q', 'h':
		b, err := m.take(1)
		if err != nil {
			return err
		}
		number = uint32(b[0])
	case 'r', 'j':
		b, err := m.take(4)
		if err != nil {
			return err
		}
		number = binary.LittleEndian.Uint32(b)
	default:
		number = uint32(len(m.memo))
	}
	if op == 'h' || op == 'j' {
		v, ok := m.memo[number]
		if !ok {
			return errors.New("its pickle asks for what it has not made")
		}
		return m.push(v)
	}
	if len(m.stack) == 0 {
		return errCut
	}
	m.memo[number] = m.stack[len(m.stack)-1]
	return nil
}

// put adds to a dictionary, a list, or, without effect, to an object.
func (m *machine) put(op byte) (err error) {
	var items []any
	switch op {
	case 's':
		items, err = m.popN(2)
	case 'a', 'b':
		items, err = m.popN(1)
	default:
		items, err = m.popMark()
	}
	if err != nil || len(m.stack) == 0 {
		return errCut
	}
	top := m.stack[len(m.stack)-1]
	if op == 'b' { // attributes, such as _metadata of a state dict
		return nil
	}
	switch to := top.(type) {
	case *dict:
		if op == 'a' || op == 'e' || len(items)%2 != 0 {
			return errors.New("its pickle adds to a dictionary what is no pair")
		}
		for i := 0; i < len(items); i += 2 {
			to.keys, to.values = append(to.keys, items[i]), append(to.values, items[i+1])
		}
	case *list:
		to.items = append(to.items, items...)
	case plain:
	default:
		return errors.New("its pickle adds to something that holds nothing")
	}
	return nil
}

// global names something of Python.
func (m *machine) global(op byte) error {
	var g global
	if op == 'c' {
		for _, to := range []*string{&g.module, &g.name} {
			end := bytes.IndexByte(m.text[m.at:], '\n')
			if end < 0 {
				return errCut
			}
			*to = string(m.text[m.at : m.at+end])
			m.at += end + 1
		}
	} else {
		parts, err := m.popN(2)
		if err != nil {
			return err
		}
		module, isText := parts[0].(string)
		name, isName := parts[1].(string)
		if !isText || !isName {
			return errors.New("its pickle has a name that is no text")
		}
		g = global{module, name}
	}
	if _, isStorage := storages[g.name]; !allowed[g] && !(isStorage && g.module == "torch") {
		return fmt.Errorf("its pickle asks for %.100q of Python: only tensors are read; save the model's state_dict(), or safetensors", g.module+"."+g.name)
	}
	return m.push(g)
}

// reduce makes what a call or a reference stands for.
func (m *machine) reduce(op byte) error {
	if op == 'Q' {
		id, err := m.pop()
		if err != nil {
			return err
		}
		s, err := newStorage(id)
		if err != nil {
			return err
		}
		return m.push(s)
	}
	parts, err := m.popN(2)
	if err != nil {
		return err
	}
	g, isGlobal := parts[0].(global)
	args, isTuple := parts[1].(tuple)
	if !isGlobal || !isTuple {
		return errors.New("its pickle calls what cannot be called")
	}
	switch g.name {
	case "OrderedDict":
		return m.push(&dict{})
	case "Namespace":
		return m.push(plain{})
	case "Size":
		if len(args) == 1 {
			return m.push(args[0])
		}
	case "_rebuild_tensor_v2":
		t, err := newTensor(args)
		if err != nil {
			return err
		}
		return m.push(t)
	case "_rebuild_parameter":
		if len(args) > 0 {
			if t, ok := args[0].(*tensor); ok {
				return m.push(t)
			}
		}
	}
	return fmt.Errorf("its pickle calls %.100q as no state dict does", g.module+"."+g.name)
}
