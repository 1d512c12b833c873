// Package cluster predicts how long a batch takes on many devices, by the schemes that users choose between, from what a
// network's blocks take on one.
//
// It is a model. Devices are alike, a part of a batch takes its share of the time, and every device has one link that carries
// one thing at a time each way. Optimizers and data take nothing.
package cluster

import (
	"math"
	"slices"
)

// Block is a piece of a network that no cut divides, for a whole batch on one device.
type Block struct {
	Forward, Backward float64 // seconds
	Out               float64 // bytes of its features
	Params            float64 // bytes of its gradients
}

// Network is the blocks in order.
type Network []Block

// Cluster is the devices.
type Cluster struct {
	Ranks     int
	Bandwidth float64 // bytes a second of a link, each way
	Latency   float64 // seconds
}

// transfer is the time of a message on a link.
func (c Cluster) transfer(bytes float64) float64 { return c.Latency + bytes/c.Bandwidth }

// sum is the time of an all-reduce in a ring of so many devices.
func (c Cluster) sum(bytes float64, ranks int) float64 {
	if ranks < 2 {
		return 0
	}
	r := float64(ranks)
	return 2*(r-1)*c.Latency + 2*(r-1)/r*bytes/c.Bandwidth
}

// Seconds is what a batch takes on one device by back-propagation.
func (n Network) Seconds() (sum float64) {
	for _, b := range n {
		sum += b.Forward + b.Backward
	}
	return sum
}

// DataParallel is back-propagation on an equal part of the batch a device. The sum of a block's gradients starts when its
// backward pass is done, one after the other.
func (n Network) DataParallel(c Cluster) float64 {
	share := 1 / float64(c.Ranks)
	now, link := 0.0, 0.0
	for _, b := range n {
		now += b.Forward * share
	}
	for _, b := range slices.Backward(n) {
		now += b.Backward * share
		link = max(link, now) + c.sum(b.Params, c.Ranks)
	}
	return max(now, link)
}

// Schedule is the order in which a stage of a pipeline takes the forward and backward passes of its parts of a batch.
type Schedule int

// GPipe runs all parts forward and then all of them backward; OneForwardOneBackward alternates as soon as it can.
const (
	GPipe Schedule = iota
	OneForwardOneBackward
)

// Pipelined is back-propagation through stages on so many devices, each of which has a run of blocks. The batch goes through
// in parts, and the pipeline is empty before the next batch. Where there are more devices than stages, copies of the pipeline
// share the batch. The best number of stages and parts, up to most of them, is taken.
func (n Network) Pipelined(c Cluster, s Schedule, most int) float64 {
	best := math.Inf(1)
	for stages := 2; stages <= min(c.Ranks, len(n)); stages++ {
		if c.Ranks%stages != 0 {
			continue
		}
		copies := c.Ranks / stages
		runs := n.split(stages, func(b Block) float64 { return b.Forward + b.Backward })
		for parts := 1; parts <= most; parts *= 2 {
			t := n.flush(c, s, runs, parts, copies)
			worst := 0.0
			for i := range runs[1:] {
				worst = max(worst, n.params(runs[i], runs[i+1]))
			}
			best = min(best, t+c.sum(worst, copies))
		}
	}
	return best
}

func (n Network) params(from, end int) (sum float64) {
	for _, b := range n[from:end] {
		sum += b.Params
	}
	return sum
}

// pass is one part of a batch at one stage, one way.
type pass struct {
	part     int
	backward bool
}

// order lists a stage's passes.
func (s Schedule) order(stage, stages, parts int) (all []pass) {
	ahead := parts
	if s == OneForwardOneBackward {
		ahead = min(parts, stages-stage)
	}
	for i := range ahead {
		all = append(all, pass{i, false})
	}
	for i := range parts {
		all = append(all, pass{i, true})
		if ahead+i < parts {
			all = append(all, pass{ahead + i, false})
		}
	}
	return all
}

// flush is the time of a batch through an empty pipeline, by playing it: a stage takes its passes in order, each as soon as
// what it needs has come over the link.
func (n Network) flush(c Cluster, s Schedule, runs []int, parts, copies int) float64 {
	stages := len(runs) - 1
	share := 1 / float64(parts*copies)
	forward, backward, out := make([]float64, stages), make([]float64, stages), make([]float64, stages)
	for i := range stages {
		for _, b := range n[runs[i]:runs[i+1]] {
			forward[i], backward[i] = forward[i]+b.Forward*share, backward[i]+b.Backward*share
		}
		out[i] = n[runs[i+1]-1].Out * share
	}
	there := make([][2][]float64, stages) // when a part's input has come, forward and backward
	orders, free, down, up := make([][]pass, stages), make([]float64, stages), make([]float64, stages), make([]float64, stages)
	for i := range stages {
		for way := range 2 {
			there[i][way] = slices.Repeat([]float64{math.Inf(1)}, parts)
		}
		orders[i] = s.order(i, stages, parts)
	}
	for p := range parts {
		there[0][0][p] = 0
	}
	for left := 2 * parts * stages; left > 0; {
		for i := range stages {
			for len(orders[i]) > 0 {
				next := orders[i][0]
				way := 0
				if next.backward {
					way = 1
				}
				if math.IsInf(there[i][way][next.part], 1) {
					break
				}
				orders[i] = orders[i][1:]
				left--
				begin := max(free[i], there[i][way][next.part])
				switch {
				case next.backward:
					free[i] = begin + backward[i]
					if i > 0 {
						up[i] = max(up[i], free[i]) + out[i-1]/c.Bandwidth
						there[i-1][1][next.part] = up[i] + c.Latency
					}
				case i < stages-1:
					free[i] = begin + forward[i]
					down[i] = max(down[i], free[i]) + out[i]/c.Bandwidth
					there[i+1][0][next.part] = down[i] + c.Latency
				default:
					free[i] = begin + forward[i]
					there[i][1][next.part] = free[i]
				}
			}
		}
	}
	return slices.Max(free)
}

// Module is a piece of a network that learns by itself, for a whole batch on one device.
type Module struct {
	Seconds float64
	Link    float64 // bytes that it hands on
	Params  float64 // bytes of its gradients
}

// Pace is the time between two batches of modules that no gradient crosses, one on each of so many devices, of which there are
// copies that share the batch. Nothing flows back, so in the long run the slowest device or link sets the pace.
func (c Cluster) Pace(modules []Module, copies int) (slowest float64) {
	share := 1 / float64(copies)
	for i, m := range modules {
		link := c.sum(m.Params, copies)
		if i < len(modules)-1 {
			link += c.transfer(m.Link * share)
		}
		slowest = max(slowest, m.Seconds*share, link)
	}
	return slowest
}

// split cuts the blocks into runs so that the largest sum of costs is as small as can be: where each begins, and the end.
func (n Network) split(runs int, cost func(Block) float64) []int {
	k := len(n)
	sums := make([]float64, k+1)
	for i, b := range n {
		sums[i+1] = sums[i] + cost(b)
	}
	best, from := make([][]float64, runs+1), make([][]int, runs+1)
	for r := range best {
		best[r], from[r] = slices.Repeat([]float64{math.Inf(1)}, k+1), make([]int, k+1)
	}
	best[0][0] = 0
	for r := 1; r <= runs; r++ {
		for end := r; end <= k; end++ {
			for at := r - 1; at < end; at++ {
				if worst := max(best[r-1][at], sums[end]-sums[at]); worst < best[r][end] {
					best[r][end], from[r][end] = worst, at
				}
			}
		}
	}
	out := make([]int, runs+1)
	for r, at := runs, k; r >= 0; r-- {
		out[r] = at
		at = from[r][at]
	}
	return out
}
