package safetensors

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// entry is a tensor's value in the JSON header.
type entry struct {
	DType   DType   `json:"dtype"`
	Shape   []int64 `json:"shape"`
	Offsets []int64 `json:"data_offsets"` // begin and end, counted from the end of the header
}

// parse reads the JSON header.
func (f *File) parse(text []byte) error {
	// The format wants the brace to come first; json would allow white space before it and turn broken UTF-8 into U+FFFD.
	if !bytes.HasPrefix(text, []byte("{")) || !utf8.Valid(text) || !json.Valid(text) {
		return errors.New("its header is not a JSON object: not a safetensors file?")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	return members(dec, func(name string) error {
		if name == metadataKey {
			return f.parseMetadata(dec)
		}
		var e entry
		if err := dec.Decode(&e); err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		info, err := e.info()
		if err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		f.names = append(f.names, name)
		f.infos[name] = info
		return nil
	})
}

func (f *File) parseMetadata(dec *json.Decoder) error {
	return members(dec, func(key string) error {
		token, err := dec.Token() // not Decode, which takes null for an empty string
		if err != nil {
			return err
		}
		value, ok := token.(string)
		if !ok {
			return fmt.Errorf("its metadata %q begins with %v: must be a string", key, token)
		}
		f.metadata[key] = value
		return nil
	})
}

// members calls value for each member of the JSON object that comes next in dec; value must read the member's value.
// A name that comes twice is refused: readers differ on which of the two counts.
func members(dec *json.Decoder, value func(name string) error) error {
	open, err := dec.Token()
	if err != nil {
		return err
	}
	if open != json.Delim('{') {
		return fmt.Errorf("its header has %v where an object must stand", open)
	}
	seen := map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		name := token.(string) // a member's name is nothing else in valid JSON
		if seen[name] {
			return fmt.Errorf("its header names %q twice", name)
		}
		seen[name] = true
		if err := value(name); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}

// info checks what a tensor's entry says of the tensor alone.
func (e entry) info() (Info, error) {
	size, err := byteSize(e.DType, e.Shape)
	if err != nil {
		return Info{}, err
	}
	if e.Shape == nil {
		return Info{}, errors.New("its shape is missing")
	}
	if len(e.Offsets) != 2 || e.Offsets[0] < 0 || e.Offsets[0] > e.Offsets[1] {
		return Info{}, fmt.Errorf("its data_offsets are %v: must be a begin and an end", e.Offsets)
	}
	if has := e.Offsets[1] - e.Offsets[0]; has != size {
		return Info{}, fmt.Errorf("its data_offsets span %d bytes: %s %v needs %d", has, e.DType, e.Shape, size)
	}
	return Info{DType: e.DType, Shape: e.Shape, Bytes: size, begin: e.Offsets[0]}, nil
}

// checkCover makes sure that the tensors lie end to end over the rest bytes behind the header.
func (f *File) checkCover(rest int64) error {
	byPlace := slices.SortedFunc(slices.Values(f.names), func(a, b string) int {
		// Of two tensors with one begin, the empty one lies before the other.
		return cmp.Or(cmp.Compare(f.infos[a].begin, f.infos[b].begin), cmp.Compare(f.infos[a].Bytes, f.infos[b].Bytes))
	})
	var end int64
	for _, name := range byPlace {
		info := f.infos[name]
		if info.begin != end {
			return fmt.Errorf("tensor %q begins at %d: must begin at %d, where the one before it ends", name, info.begin, end)
		}
		if end += info.Bytes; end > rest {
			return fmt.Errorf("tensor %q ends at %d, %d bytes follow the header: cut short?", name, end, rest)
		}
	}
	if end != rest {
		return fmt.Errorf("its tensors end at %d, %d bytes follow the header: must be the same", end, rest)
	}
	return nil
}
