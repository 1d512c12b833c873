package plan

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
)

// signature tells layers apart that may take different memory: by their types, options and the shapes of parameters,
// whose names and values do not matter. Repeated blocks of a stage have one signature and are measured once.
func signature(l nn.Layer, in nn.Shape) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%+v ", in)
	describe(&s, reflect.ValueOf(l))
	for _, p := range nn.Params(l) {
		fmt.Fprintf(&s, " %v%t", p.Value.Shape(), p.Trainable)
	}
	return s.String()
}

var opaque = map[reflect.Type]bool{reflect.TypeFor[nn.Param](): true, reflect.TypeFor[torch.Tensor](): true}

func describe(s *strings.Builder, v reflect.Value) {
	switch v.Kind() {
	case reflect.Invalid:
		s.WriteString("nil")
	case reflect.Interface, reflect.Pointer:
		describe(s, v.Elem())
	case reflect.Slice, reflect.Array:
		fmt.Fprintf(s, "%d[", v.Len())
		for i := range v.Len() {
			describe(s, v.Index(i))
		}
		s.WriteString("]")
	case reflect.Struct:
		s.WriteString(v.Type().String() + "{")
		if !opaque[v.Type()] {
			for i := range v.NumField() {
				describe(s, v.Field(i))
			}
		}
		s.WriteString("}")
	default:
		fmt.Fprintf(s, "%v,", v)
	}
}
