package torch

/*
#include <stdlib.h>
#include "shim.h"
char* lt_script_save(const char* path, const char* source, int n, const char** names, const lt_tensor* values, const bool* buffers,
                     int constants, const char** constant_names, const lt_tensor* constant_values,
                     int files, const char** file_names, const char** file_texts);
char* lt_script_run(const char* path, lt_tensor x, lt_tensor* out);
*/
import "C"

import (
	"maps"
	"slices"
	"unsafe"
)

// Named is a tensor with its name.
type Named struct {
	Name   string // dots lead into modules
	Value  Tensor
	Buffer bool // not trained
}

// ScriptArchive is a network in TorchScript.
type ScriptArchive struct {
	Source     string  // the method "def forward(self, …):"
	Parameters []Named // the module's, and those of its modules; its state dict
	Constants  []Named // attributes of the module that are no part of its state dict
	Files      map[string]string
}

// Save writes the archive to path, for torch.jit.load. What cannot be compiled or written is an [*Error].
func (a ScriptArchive) Save(path string) (err error) {
	defer Catch(&err)
	var free []unsafe.Pointer
	defer func() {
		for _, p := range free {
			C.free(p)
		}
	}()
	text := func(s string) *C.char {
		c := C.CString(s)
		free = append(free, unsafe.Pointer(c))
		return c
	}
	split := func(list []Named) (names []*C.char, values []C.lt_tensor, buffers []C.bool) {
		for _, n := range list {
			names, values, buffers = append(names, text(n.Name)), append(values, n.Value.c()), append(buffers, C.bool(n.Buffer))
		}
		return names, values, buffers
	}
	names, values, buffers := split(a.Parameters)
	constantNames, constants, _ := split(a.Constants)
	var fileNames, texts []*C.char
	for _, name := range slices.Sorted(maps.Keys(a.Files)) {
		fileNames, texts = append(fileNames, text(name)), append(texts, text(a.Files[name]))
	}
	check("save script", C.lt_script_save(text(path), text(a.Source),
		C.int(len(names)), unsafe.SliceData(names), unsafe.SliceData(values), unsafe.SliceData(buffers),
		C.int(len(constants)), unsafe.SliceData(constantNames), unsafe.SliceData(constants),
		C.int(len(texts)), unsafe.SliceData(fileNames), unsafe.SliceData(texts)))
	return nil
}

// RunScript returns what the method forward of the archive at path makes of x, on the CPU.
func (s *Scope) RunScript(path string, x Tensor) Tensor {
	c := C.CString(path)
	defer C.free(unsafe.Pointer(c))
	return s.unary("run script", func(_ C.bool, out *C.lt_tensor) *C.char { return C.lt_script_run(c, x.c(), out) })
}
