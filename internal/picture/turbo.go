package picture

import (
	"errors"
	"runtime"
	"strings"
	"sync"

	"github.com/ebitengine/purego"

	"github.com/locus-learn/locus/internal/fault"
)

// turbo is what we call of libjpeg-turbo's TurboJPEG interface, version 2 and newer (turbojpeg.h). The library is loaded
// when the first JPEG is decoded, so that nothing else needs it.
var turbo struct {
	initDecompress func() uintptr
	destroy        func(handle uintptr) int32
	decompress     func(handle uintptr, jpeg []byte, size uint, dst []byte, width, pitch, height, format, flags int32) int32
	errorText      func(handle uintptr) string
}

// Values of turbojpeg.h.
const (
	formatRGB  = 0     // TJPF_RGB
	formatCMYK = 11    // TJPF_CMYK
	limitScans = 32768 // TJFLAG_LIMITSCANS: a progressive file cannot promise work without end
)

// harmless are parts of the library's warnings that leave the whole picture decoded. After any other warning some of it
// is guessed; and after an error that follows a warning, the library reports a warning too.
var harmless = []string{"extraneous bytes", "Adobe color transform", "JFIF revision", "ICC profile"}

// JPEG loads the library that decodes JPEG. Its error is a fault that says how to get it.
var JPEG = sync.OnceValue(func() error {
	if runtime.GOOS == "darwin" {
		return loadTurbo("libturbojpeg.0.dylib", "/opt/homebrew/lib/libturbojpeg.dylib", "/usr/local/lib/libturbojpeg.dylib")
	}
	return loadTurbo("libturbojpeg.so.0", "libturbojpeg.so")
})

// loadTurbo takes the first of the libraries that is there.
func loadTurbo(names ...string) error {
	for _, name := range names {
		library, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
		if err != nil {
			continue
		}
		purego.RegisterLibFunc(&turbo.initDecompress, library, "tjInitDecompress")
		purego.RegisterLibFunc(&turbo.destroy, library, "tjDestroy")
		purego.RegisterLibFunc(&turbo.decompress, library, "tjDecompress2")
		purego.RegisterLibFunc(&turbo.errorText, library, "tjGetErrorStr2")
		return nil
	}
	return fault.New("libjpeg-turbo is not installed, and JPEG needs it: apt-get install libturbojpeg0-dev (looked for %s)",
		strings.Join(names, ", "))
}

// turboHandle is one decompressor of the library, for one goroutine at a time.
type turboHandle uintptr

func newTurbo() (turboHandle, error) {
	if err := JPEG(); err != nil {
		return 0, err
	}
	h := turbo.initDecompress()
	if h == 0 {
		return 0, errors.New("libjpeg-turbo has no memory for a decompressor")
	}
	return turboHandle(h), nil
}

func (h turboHandle) free() { turbo.destroy(uintptr(h)) }

// decode fills dst, w × h pixels of the format, which is a size that the library scales the file to.
func (h turboHandle) decode(jpeg, dst []byte, width, height int, format int32) error {
	// The library keeps the error of an earlier call where a later one succeeds, so only a failure asks for it; and it
	// keeps warnings for the thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if turbo.decompress(uintptr(h), jpeg, uint(len(jpeg)), dst, int32(width), 0, int32(height), format, limitScans) == 0 {
		return nil
	}
	text := turbo.errorText(uintptr(h))
	for _, part := range harmless {
		if strings.Contains(text, part) {
			return nil
		}
	}
	if strings.Contains(text, "remature end") {
		return fault.New("is truncated or damaged: %s", text)
	}
	return fault.New("cannot be decoded: %s", text)
}
