package torch_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/locus-learn/locus/torch"
)

const mib = 1 << 20

// bytesOf returns a tensor of n bytes, each of them value.
func bytesOf(s *torch.Scope, value byte, n int64) torch.Tensor {
	return s.Full(torch.Uint8, float64(value), n)
}

// A tensor keeps its content whatever is taken and freed beside it.
func TestMemoryIsNobodyElses(t *testing.T) {
	type held struct {
		torch.Tensor
		value byte
	}
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	random := rand.New(rand.NewPCG(1, 2))
	var all []held
	for i := range 3000 {
		if free := len(all) > 0 && random.IntN(len(all)+16) >= 16; free {
			j := random.IntN(len(all))
			data := all[j].Data()
			if bytes.Count(data, []byte{all[j].value}) != len(data) {
				t.Fatalf("after %d tensors, one of %d bytes has lost its content", i, len(data))
			}
			all[j].Free()
			all[j] = all[len(all)-1]
			all = all[:len(all)-1]
			continue
		}
		n := random.Int64N(2*mib) + 1 // small blocks, too, which are not the arena's
		all = append(all, held{bytesOf(s, byte(i), n), byte(i)})
	}
}

// What is freed serves tensors of other sizes: parts of a larger one, and a larger one in the place of several.
func TestFreedMemoryServesOtherSizes(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	bytesOf(s, 1, 64*mib).Free()
	before := torch.FreshBytes()
	for range 3 {
		var parts []torch.Tensor
		for _, n := range []int64{31 * mib, 9 * mib, mib / 2, mib, 7*mib + 12345} {
			parts = append(parts, bytesOf(s, 1, n))
		}
		for _, i := range []int{1, 3, 0, 4, 2} {
			parts[i].Free()
		}
		bytesOf(s, 1, 63*mib).Free()
	}
	if got := torch.FreshBytes() - before; got != 0 {
		t.Errorf("tensors that fit into freed memory took %d fresh bytes", got)
	}
	bytesOf(s, 1, 65*mib).Free()
	if got := torch.FreshBytes() - before; got < mib || got > 2*mib {
		t.Errorf("a tensor a MiB larger than all that is free took %d fresh bytes", got)
	}
}

// Gaps between tensors, too small for the next one, go back to the system: what is resident is not more than what tensors
// took at their highest.
func TestGapsGoBackToTheSystem(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	bytesOf(s, 1, 256*mib).Free() // more than other tests have taken, at their highest
	highest := resident(t)
	var gaps []torch.Tensor
	for range 16 {
		gaps = append(gaps, bytesOf(s, 1, 8*mib))
		bytesOf(s, 1, 8*mib) // stays
	}
	for _, gap := range gaps {
		gap.Free()
	}
	bytesOf(s, 1, 129*mib)
	if got := resident(t) - highest; got > 8*mib {
		t.Errorf("%d MiB more are resident than when tensors took as much at once", got/mib)
	}
}

// resident returns how much memory the process holds, in bytes.
func resident(t *testing.T) int64 {
	t.Helper()
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(statm))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
