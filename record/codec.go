package record

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
)

// encode writes a struct as one JSON object, fields in order and, unless event is "", the kind of event before them. It differs
// from encoding/json in one point: NaN and the infinities, which JSON lacks and a diverged run has, become null.
func encode(event string, v any) ([]byte, error) {
	out := []byte{'{'}
	if event != "" {
		out = fmt.Appendf(out, `"event":%q`, event)
	}
	for field, value := range reflect.ValueOf(v).Fields() {
		name, option, _ := strings.Cut(field.Tag.Get("json"), ",")
		if option == "omitzero" && value.IsZero() {
			continue
		}
		text, err := json.Marshal(nullable(value.Interface()))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = fmt.Appendf(out, "%q:%s", name, text)
	}
	return append(out, '}'), nil
}

func nullable(v any) any {
	switch v := v.(type) {
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
	case *float64:
		if v != nil {
			return nullable(*v)
		}
	case []float64:
		list := make([]any, len(v))
		for i, x := range v {
			list[i] = nullable(x)
		}
		return list
	case Scores:
		named := map[string]any{}
		for name, values := range v {
			named[name] = nullable(values)
		}
		return named
	}
	return v
}

// decode fills the struct that v points to from a JSON object written by encode; null is read as NaN. Keys that the struct
// lacks are ignored, fields that the object lacks are left alone.
func decode(text []byte, v any) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		return err
	}
	for field, value := range reflect.ValueOf(v).Elem().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if text, ok := object[name]; ok {
			if err := decodeField(text, value.Addr().Interface()); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

func decodeField(text []byte, field any) error {
	switch field := field.(type) {
	case *float64:
		*field = math.NaN() // stays if the text is null
	case **float64:
		*field = new(math.NaN())
		return json.Unmarshal(text, *field)
	case *[]float64:
		return decodeList(text, field)
	case *Scores:
		var named map[string]json.RawMessage
		if err := json.Unmarshal(text, &named); err != nil {
			return err
		}
		*field = Scores{}
		for name, text := range named {
			var values []float64
			if err := decodeList(text, &values); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			(*field)[name] = values
		}
		return nil
	}
	return json.Unmarshal(text, field)
}

func decodeList(text []byte, into *[]float64) error {
	var list []*float64
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	*into = make([]float64, len(list))
	for i, x := range list {
		if x == nil {
			x = new(math.NaN())
		}
		(*into)[i] = *x
	}
	return nil
}
