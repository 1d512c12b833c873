// Command scaling measures what the blocks of a network take on this machine, and predicts from that how a batch scales on 2 to
// 64 such machines by each scheme of training: package internal/cluster. It prints rows of results/cluster.csv.
//
//	go run ./scripts/scaling -model resnet50 -faster 1000 -gbits 100 -latency 10µs
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/locus-learn/locus/internal/cluster"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

var (
	model   = flag.String("model", "resnet50", "the network")
	image   = flag.Int("image", 224, "side of its images")
	sample  = flag.Int("sample", 4, "images that are measured")
	batch   = flag.Int("batch", 256, "images in a batch that is predicted")
	rounds  = flag.Int("rounds", 3, "measurements of each block, of which the fastest counts")
	gbits   = flag.Float64("gbits", 10, "bandwidth of a link in Gbit/s")
	latency = flag.Duration("latency", 50*time.Microsecond, "of a link")
	faster  = flag.Float64("faster", 1, "how many times as fast as this machine's thread a device is")
	head    = flag.String("head", "linear", "local head: linear, or tokens for transformers")
)

func main() {
	flag.Parse()
	defer torch.Pin()()
	net, err := measure()
	if err != nil {
		fmt.Fprintln(os.Stderr, "scaling:", err)
		os.Exit(1)
	}
	fmt.Println("model,gbits,latency_us,faster,batch,ranks,scheme,speed")
	for ranks := 2; ranks <= 64; ranks *= 2 {
		c := cluster.Cluster{Ranks: ranks, Bandwidth: *gbits * 1e9 / 8, Latency: latency.Seconds()}
		for _, scheme := range []struct {
			name    string
			seconds float64
		}{
			{"bp, data parallel", net.DataParallel(c)},
			{"bp, GPipe", net.Pipelined(c, cluster.GPipe, 64)},
			{"bp, 1F1B", net.Pipelined(c, cluster.OneForwardOneBackward, 64)},
			{"layerwise", net.Local(c, 1)},
			{"sgr", net.Local(c, 2)},
		} {
			fmt.Printf("%s,%g,%d,%g,%d,%d,\"%s\",%.3g\n", *model, *gbits, latency.Microseconds(), *faster, *batch, ranks, scheme.name, net.Seconds()/scheme.seconds)
		}
	}
}

// measure times the blocks on a few images and scales that to the batch.
func measure() (cluster.Network, error) {
	init := nn.Init{Seed: 1, Device: torch.CPU, Room: zoo.Room()}
	net, err := zoo.New(zoo.Options{Name: *model}, nn.Shape{C: 3, H: *image, W: *image}, 1000, init)
	if err != nil {
		return nil, err
	}
	defer net.Free()
	kind, err := zoo.LookupHead(*head, false)
	if err != nil {
		return nil, err
	}
	scale := float64(*batch) / float64(*sample)
	pace := scale / *faster
	var all cluster.Network
	in := []int64{int64(*sample), 3, int64(*image), int64(*image)}
	for i, b := range net.Blocks {
		params := nn.Trainable(nn.Params(b.Layer))
		forward, backward, out := fastest(b.Layer, in, params)
		c := cluster.Block{Forward: forward * pace, Backward: backward * pace, Out: 4 * scale * product(out)}
		for _, p := range params {
			c.Params += float64(p.Bytes())
		}
		if i < len(net.Blocks)-1 {
			layer, err := kind.New(zoo.HeadOptions{Name: *head, Pool: "mean"}, zoo.Cut{Net: net, Module: i + 1, Modules: len(net.Blocks), End: i + 1}, init)
			if err != nil {
				return nil, err
			}
			f, w, _ := fastest(layer, out, nn.Trainable(nn.Params(layer)))
			nn.Free(nn.Params(layer))
			c.Head = (f + w) * pace
		}
		all, in = append(all, c), out
	}
	return all, nil
}

// fastest runs a layer forward and backward on random input and returns the seconds of both, and the shape of what comes out.
func fastest(layer nn.Layer, in []int64, params []torch.Tensor) (forward, backward float64, out []int64) {
	for round := range *rounds + 1 {
		s := torch.NewScopeOn(torch.CPU, torch.Grad)
		x := s.Full(torch.Float32, 0, in...)
		x.Normal(0, 1, 1)
		x.SetRequiresGrad(true)
		p := nn.Train(s, torch.Float32, nn.NewDraws(1))
		began := time.Now()
		y := layer.Forward(p, s.Alias(x))
		f := time.Since(began).Seconds()
		out = y.Shape()
		loss := s.Sum(s.Mul(y, y))
		began = time.Now()
		s.Grad(loss, append([]torch.Tensor{x}, params...), torch.GradOptions{})
		b := time.Since(began).Seconds()
		s.Close()
		if round == 1 || round > 1 && f+b < forward+backward { // the first one warms up
			forward, backward = f, b
		}
	}
	return forward, backward, out
}

func product(shape []int64) float64 {
	n := 1.0
	for _, d := range shape {
		n *= float64(d)
	}
	return n
}
