package dist

/*
#include <stdlib.h>
#include "dist.h"
*/
import "C"

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"unsafe"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/torch"
)

// EnvNCCL is the environment variable that names NCCL's library. Without it, that is looked for where CUDA's half of libtorch has
// it, beside libtorch, in NVIDIA's wheel beside that, and where the system has its libraries.
const EnvNCCL = "LOCUS_NCCL"

// oldest is the first release that can send and receive.
const oldest = 2_07_00

// library is NCCL, as it was loaded.
type library struct {
	handle  C.dist_nccl
	version release
	onHost  bool // it stands in for NCCL in a test, and takes tensors in the processor's memory
}

// libraries that were loaded, by the name that was asked for. They stay.
var libraries = struct {
	sync.Mutex
	by map[string]*library
}{by: map[string]*library{}}

// release is NCCL's own number of its release, in the form that it has since 2.9.
type release int

// releaseOf returns the release of what ncclGetVersion says.
func releaseOf(code int) release {
	if code < 1_00_00 { // as before 2.9: a thousand times the major number
		return release(code/1000*1_00_00 + code%1000)
	}
	return release(code)
}

func (r release) String() string { return fmt.Sprintf("%d.%d.%d", r/1_00_00, r/1_00%1_00, r%1_00) }

// loadNCCL loads NCCL, once. An error says in one line what to do.
func loadNCCL() (*library, error) {
	name := os.Getenv(EnvNCCL)
	libraries.Lock()
	defer libraries.Unlock()
	if l := libraries.by[name]; l != nil {
		return l, nil
	}
	path := C.CString(name)
	defer C.free(unsafe.Pointer(path))
	var l library
	var code C.int
	var onHost C.bool
	if err := refused("load", C.dist_nccl_load(path, &code, &onHost, &l.handle)); err != nil {
		engine, _ := errors.AsType[*torch.Error](err)
		return nil, fmt.Errorf("NCCL, by which cards talk, cannot be loaded (%s): pip install nvidia-nccl-cu13, or package libnccl2, has it; %s names its file; mesh.engine=gloo does without",
			engine.Text, EnvNCCL)
	}
	if l.version, l.onHost = releaseOf(int(code)), bool(onHost); l.version < oldest {
		return nil, fmt.Errorf("NCCL is %v: must be %v or newer (%s names another one)", l.version, release(oldest), EnvNCCL)
	}
	libraries.by[name] = &l
	return &l, nil
}

// DescribeNCCL returns the release of the NCCL that processes with cards would use, or why there is none.
func DescribeNCCL() (version string, err error) {
	l, err := loadNCCL()
	if err != nil {
		return "", err
	}
	return l.version.String(), nil
}

// card is what a rank says of itself before ranks meet in NCCL, which would leave them waiting for each other.
type card struct {
	Host    string
	Version release
	Card    string // a name that no other card has
	Problem string
}

// able loads NCCL and lets all ranks know. It returns the same fault on all of them unless all can talk by it.
func able(p Place) (*library, error) {
	var own card
	own.Host, _ = os.Hostname()
	l, err := loadNCCL()
	if err == nil && !p.Device.IsCUDA() && !l.onHost {
		err = errors.New("mesh.engine is nccl, which moves tensors from card to card: must be gloo for device: cpu")
	}
	if err == nil {
		own.Version = l.version
		own.Card, err = uuid(p.Device)
	}
	if err != nil {
		own.Problem = err.Error()
	}
	text, err := json.Marshal(own)
	if err != nil {
		return nil, err
	}
	if err := p.Store.Set("card/"+strconv.Itoa(p.Rank), text); err != nil {
		return nil, err
	}
	all := make([]card, p.Size)
	for rank := range all {
		text, err := p.Store.Get("card/" + strconv.Itoa(rank))
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(text, &all[rank]); err != nil {
			return nil, fault.New("rank %d runs another locus: %w", rank, err)
		}
	}
	return l, fit(all)
}

// fit returns a fault unless ranks with such cards can talk by NCCL.
func fit(all []card) error {
	holder := map[string]int{}
	for rank, c := range all {
		name := fmt.Sprintf("rank %d on %s", rank, c.Host)
		if c.Problem != "" {
			return fault.New("%s: %s", name, c.Problem)
		}
		if c.Version != all[0].Version {
			return fault.New("rank 0 on %s has NCCL %v and %s has %v: all ranks must have the same", all[0].Host, all[0].Version, name, c.Version)
		}
		if other, taken := holder[c.Card]; taken && c.Card != "" {
			return fault.New("rank %d and %s have the same card, which NCCL refuses: start at most one process a card, or set mesh.engine=gloo", other, name)
		}
		holder[c.Card] = rank
	}
	return nil
}

// uuid names a card; "" where nobody knows, and for the processor.
func uuid(d torch.Device) (string, error) {
	var name [40]C.char
	err := refused("card", C.dist_card(C.int(d), &name[0], C.int(len(name))))
	return C.GoString(&name[0]), err
}
