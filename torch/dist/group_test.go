package dist_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/torch/dist"
)

// kinds make groups whose ranks are goroutines of the test.
var kinds = map[string]func(t *testing.T, n int) []dist.Group{
	"twins": func(_ *testing.T, n int) []dist.Group { return dist.Twins(n) },
	"gloo":  gloo,
	"nccl": func(t *testing.T, n int) []dist.Group {
		standIn(t)
		groups, err := join(t, n, dist.Place{Engine: dist.NCCL, Timeout: 20 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		return groups
	},
}

func gloo(t *testing.T, n int) []dist.Group {
	groups, err := join(t, n, dist.Place{Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return groups
}

// join lets n ranks meet. The error joins those of all.
func join(t *testing.T, n int, p dist.Place) ([]dist.Group, error) {
	if !dist.HasGloo() {
		t.Skip("built without Gloo")
	}
	socket := filepath.Join(t.TempDir(), "s")
	groups, errs := make([]dist.Group, n), make([]error, n)
	var all sync.WaitGroup
	for rank := range n {
		all.Go(func() {
			m, err := dist.Meet(rank, "unix", socket, "secret", 20*time.Second)
			if err != nil {
				errs[rank] = err
				return
			}
			t.Cleanup(m.Close)
			own := p
			own.Rank, own.Size, own.Store, own.Address = rank, n, dist.Under(m, "all"), "127.0.0.1"
			groups[rank], errs[rank] = dist.Join(own)
		})
	}
	all.Wait()
	return groups, errors.Join(errs...)
}

// each runs f for all ranks at a time.
func each(t *testing.T, n int, f func(rank int) error) {
	t.Helper()
	var all sync.WaitGroup
	errs := make([]error, n)
	for rank := range n {
		all.Go(func() { errs[rank] = f(rank) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// groups runs a test on groups of every kind and of two and three ranks.
func groups(t *testing.T, f func(t *testing.T, ranks []dist.Group)) {
	for name, kind := range kinds {
		for _, n := range []int{2, 3} {
			t.Run(fmt.Sprint(name, n), func(t *testing.T) {
				before := torch.LiveTensors()
				ranks := kind(t, n)
				f(t, ranks)
				for _, g := range ranks {
					g.Close(nil)
				}
				if left := torch.LiveTensors() - before; left != 0 {
					t.Errorf("%d tensors are left", left)
				}
			})
		}
	}
}

// A sum has the same bits on all ranks and in every repetition, and is that of the numbers.
func TestSumIsTheSameEverywhere(t *testing.T) {
	const length = 100_003
	groups(t, func(t *testing.T, ranks []dist.Group) {
		for _, dtype := range []torch.DType{torch.Float32, torch.Float64, torch.BFloat16} {
			var first []byte
			for range 3 {
				got := make([][]byte, len(ranks))
				var exact []float64
				for rank := range ranks {
					s := torch.NewScope(torch.NoGrad)
					x := filled(s, dtype, length, rank)
					if exact == nil {
						exact = make([]float64, length)
					}
					for i, v := range x.Float64s() {
						exact[i] += v
					}
					s.Close()
				}
				each(t, len(ranks), func(rank int) error {
					s := torch.NewScope(torch.NoGrad)
					defer s.Close()
					x := filled(s, dtype, length, rank)
					err := ranks[rank].Sum(x).Wait()
					got[rank] = x.Data()
					if e := worst(x.Float64s(), exact); e > map[torch.DType]float64{torch.Float32: 1e-6, torch.Float64: 1e-15, torch.BFloat16: 1e-2}[dtype] {
						t.Errorf("%v: %g off", dtype, e)
					}
					return err
				})
				for _, g := range got {
					if first == nil {
						first = g
					}
					if !bytes.Equal(g, first) {
						t.Fatalf("%v: sums differ in their bits", dtype)
					}
				}
			}
		}
		if want := int64(3 * length * (4 + 8 + 2)); ranks[0].Traffic().Summed != want {
			t.Errorf("%d bytes summed, want %d", ranks[0].Traffic().Summed, want)
		}
	})
}

func filled(s *torch.Scope, dtype torch.DType, n int64, rank int) torch.Tensor {
	x := s.Full(torch.Float64, 0, n)
	x.Normal(0, 1, uint64(rank+1))
	return s.Cast(x, dtype)
}

// worst is the largest difference as a share of the largest number.
func worst(a, b []float64) float64 {
	var most, off float64
	for i := range a {
		most, off = max(most, math.Abs(b[i])), max(off, math.Abs(a[i]-b[i]))
	}
	return off / most
}

func TestBroadcast(t *testing.T) {
	groups(t, func(t *testing.T, ranks []dist.Group) {
		each(t, len(ranks), func(rank int) error {
			s := torch.NewScope(torch.NoGrad)
			defer s.Close()
			x := s.Full(torch.Int64, float64(rank), 5)
			err := ranks[rank].Broadcast(x, 1).Wait()
			if got := x.Float64s(); !reflect.DeepEqual(got, []float64{1, 1, 1, 1, 1}) {
				t.Errorf("rank %d has %v", rank, got)
			}
			return err
		})
		if err := ranks[0].Broadcast(torch.Tensor{}, 9).Wait(); err == nil {
			t.Error("there is no rank 9")
		}
	})
}

// Parcels arrive whole, in order, in each lane by itself, and take the bytes that were predicted.
func TestParcelsArriveAsTheyWere(t *testing.T) {
	groups(t, func(t *testing.T, ranks []dist.Group) {
		n := len(ranks)
		var bytesSent int64
		each(t, n, func(rank int) error {
			s := torch.NewScope(torch.NoGrad)
			defer s.Close()
			var lanes sync.WaitGroup
			errs := make([]error, 2)
			switch rank {
			case 0:
				for lane := range 2 {
					lanes.Go(func() {
						for i := range 3 {
							own := torch.NewScope(torch.NoGrad)
							if errs[lane] == nil {
								errs[lane] = ranks[0].Send(parcel(own, lane, i), n-1, lane)
							}
							own.Close()
						}
					})
				}
				lanes.Wait()
				for i := range 6 {
					p := parcel(s, i/3, i%3)
					bytesSent += p.WireBytes()
				}
			case n - 1:
				for lane := range 2 {
					lanes.Go(func() {
						for i := range 3 {
							p, err := ranks[n-1].Receive(0, 1-lane)
							if err != nil {
								errs[lane] = err
								return
							}
							compare(t, p, 1-lane, i)
							p.Free()
						}
					})
				}
				lanes.Wait()
			}
			return errors.Join(errs...)
		})
		if a, b := ranks[0].Traffic().Sent, ranks[n-1].Traffic().Received; a != bytesSent || b != bytesSent {
			t.Errorf("%d bytes sent, %d received, want %d", a, b, bytesSent)
		}
	})
}

// parcel has tensors of many types and layouts.
func parcel(s *torch.Scope, lane, i int) dist.Parcel {
	var p dist.Parcel
	p.Head = []byte(fmt.Sprint("lane ", lane, " parcel ", i))
	x := s.Full(torch.Float32, 0, 4, 3, 5, 6)
	x.Normal(0, 1, uint64(10*lane+i))
	p.Tensors = []torch.Tensor{
		s.ChannelsLast(x), {}, s.FromInts([]int64{1, 2, int64(i)}), s.Cast(s.Permute(x, 1, 0, 3, 2), torch.BFloat16),
		s.Double(3.5), s.Full(torch.Float32, 1, 0, 7), s.Full(torch.Uint8, 200, 3), s.Narrow(x, 2, 1, 2),
	}
	return p
}

func compare(t *testing.T, got dist.Parcel, lane, i int) {
	t.Helper()
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	want := parcel(s, lane, i)
	if string(got.Head) != string(want.Head) || len(got.Tensors) != len(want.Tensors) {
		t.Fatalf("got %q with %d tensors, want %q", got.Head, len(got.Tensors), want.Head)
	}
	for k, w := range want.Tensors {
		g := got.Tensors[k]
		if g.Defined() != w.Defined() || w.Defined() && (g.DType() != w.DType() || !g.Equal(w)) {
			t.Errorf("tensor %d is %v, want %v", k, g, w)
		}
	}
}

// Who waits for a parcel or a rank that never comes returns with the cause when its group is closed.
func TestCloseWakesWhoWaits(t *testing.T) {
	groups(t, func(t *testing.T, ranks []dist.Group) {
		cause := errors.New("rank 1 on host b is gone")
		time.AfterFunc(50*time.Millisecond, func() {
			for _, g := range ranks {
				g.Close(cause)
			}
		})
		if _, err := ranks[0].Receive(1, 0); !errors.Is(err, cause) {
			t.Errorf("error %v, want the cause", err)
		}
		if err := ranks[0].Send(dist.Parcel{}, 1, 0); !errors.Is(err, cause) {
			t.Errorf("error %v, want the cause", err)
		}
	})
}

func TestAloneNeedsNobody(t *testing.T) {
	var g dist.Group = dist.Alone{}
	if g.Rank() != 0 || g.Size() != 1 || g.Sum(torch.Tensor{}).Wait() != nil || g.Broadcast(torch.Tensor{}, 0).Wait() != nil {
		t.Error("a group of one adds up and hands on by doing nothing")
	}
	if _, err := g.Receive(1, 0); err == nil || g.Send(dist.Parcel{}, 0, 0) == nil {
		t.Error("there is nobody to talk to")
	}
	g.Close(nil)
}

// What is packed comes back in the layouts it had, with the numbers behind it.
func TestPackUnpack(t *testing.T) {
	s := torch.NewScope(torch.NoGrad)
	defer s.Close()
	ts := parcel(s, 0, 1).Tensors
	list := []torch.Tensor{ts[0], s.Narrow(ts[0], 1, 1, 1), s.Full(torch.Float32, 2, 3)}
	flat := dist.Pack(s, list, []float64{0.5, math.NaN(), -3})
	if n := flat.Numel(); n != list[0].Numel()+list[1].Numel()+3+3 {
		t.Errorf("%d elements", n)
	}
	for i, u := range dist.Unpack(s, flat, list) {
		if !u.Equal(list[i]) {
			t.Errorf("tensor %d is another one", i)
		}
	}
	if tail := dist.Tail(flat, 3); tail[0] != 0.5 || !math.IsNaN(tail[1]) || tail[2] != -3 {
		t.Errorf("tail %v", tail)
	}
}
