package nn

import (
	"fmt"
	"reflect"
	"unsafe"

	"github.com/locus-learn/locus/torch"
)

// Params lists parameters and buffers of layers in PyTorch's order. Names are unique within a network.
//
// They come from the parts. What a layer holds in fields, embedded ones and unexported ones too, is taken in the fields'
// order: a *Param, a layer, any struct, and slices, arrays, pointers and interfaces of these. A nil part has none, and one
// that is met again is taken once. A layer with a method Params() []*Param says them itself: one that keeps them in a map,
// or in another order than its fields.
func Params(layers ...Layer) []*Param {
	w := walk{seen: map[place]bool{}}
	for i := range layers {
		w.value(reflect.ValueOf(layers).Index(i))
	}
	return w.params
}

// walk gathers parameters. The values it looks at are addressable.
type walk struct {
	params []*Param
	seen   map[place]bool
}

// place is where a pointer leads. A struct and its first field have the same address.
type place struct {
	at unsafe.Pointer
	of reflect.Type
}

var (
	paramType   = reflect.TypeFor[Param]()
	layerType   = reflect.TypeFor[Layer]()
	torchFolder = reflect.TypeFor[torch.Tensor]().PkgPath()
)

func (w *walk) value(v reflect.Value) {
	if v.Type().PkgPath() == torchFolder {
		return
	}
	v = reflect.NewAt(v.Type(), v.Addr().UnsafePointer()).Elem() // unexported fields, too, may be asked for methods
	switch v.Kind() {
	case reflect.Interface:
		if !v.IsNil() {
			held := reflect.New(v.Elem().Type()).Elem()
			held.Set(v.Elem())
			w.value(held)
		}
	case reflect.Pointer:
		if at := (place{v.UnsafePointer(), v.Type()}); !v.IsNil() && !w.seen[at] {
			w.seen[at] = true
			w.target(v)
		}
	default:
		w.parts(v)
	}
}

// target takes what a pointer leads to.
func (w *walk) target(v reflect.Value) {
	if p, ok := v.Interface().(*Param); ok {
		w.params = append(w.params, p)
		return
	}
	w.value(v.Elem())
}

// parts takes the parameters that a value says itself, or those of its parts in order.
func (w *walk) parts(v reflect.Value) {
	if own, ok := v.Addr().Interface().(interface{ Params() []*Param }); ok {
		for _, p := range own.Params() {
			w.value(reflect.ValueOf(&p).Elem())
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			w.value(v.Field(i))
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() < reflect.Array { // numbers
			return
		}
		for i := range v.Len() {
			w.value(v.Index(i))
		}
	case reflect.Map:
		if e := v.Type().Elem(); e == reflect.PointerTo(paramType) || e.Implements(layerType) {
			panic(&torch.Error{Op: "params", Text: fmt.Sprintf("a %v has no order: its layer must have a method Params", v.Type())})
		}
	}
}
