package cli

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/train"
	"github.com/locus-learn/locus/watch"
)

func newWatch() *cobra.Command {
	var web, from string
	cmd := &cobra.Command{
		Use:   "watch DIR",
		Short: "Show the runs in a folder on a page, while they train",
		Long: `Show the runs in a folder on a page that a browser opens: losses and accuracies of all modules, accuracy against depth,
agreement of neighbours, memory against forecast, training images, time left, and a button that stops a run as Ctrl-C
does.

Only this machine can open the page, unless --web names another address. From elsewhere, go through ssh:
ssh -L 8080:127.0.0.1:8080 MACHINE. On an address that others can reach, a run is stopped only with the token that
stands behind the # of the page's address.`,
		Example: "  locus watch runs\n  locus watch runs --web 127.0.0.1:9000",
		Args:    takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if info, err := os.Stat(args[0]); err != nil || !info.IsDir() {
				return fault.New("%s cannot be watched: must be a folder of runs, such as runs", args[0])
			}
			o := watch.Options{
				Samples:  func(dir string) ([]watch.Sample, error) { return samples(cmd.Context(), dir, from) },
				Forecast: func(dir string) (int64, error) { return forecast(dir, from) },
			}
			s, l, err := openPage(cmd, args[0], web, o)
			if err != nil {
				return err
			}
			return s.Serve(cmd.Context(), l)
		},
	}
	cmd.Flags().StringVar(&web, "web", "127.0.0.1:8080", "`ADDRESS` of the page; without a host, on every network")
	addData(cmd, &from)
	return cmd
}

// openPage listens, and says where the page is.
func openPage(cmd *cobra.Command, dir, web string, o watch.Options) (*watch.Server, net.Listener, error) {
	l, err := net.Listen("tcp", web)
	if err != nil {
		return nil, nil, fault.New("--web is %s: %w; must be HOST:PORT with a free port, such as 127.0.0.1:8080", web, err)
	}
	s := watch.New(dir, l.Addr(), o)
	if !s.Loopback() {
		warn(cmd)("--web is " + web + ": whoever can reach this machine can see the page; there is no password and no TLS")
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "the page is at %s\n", s.URL(l.Addr()))
	return s, l, nil
}

// show serves a page of the run that is about to train in a folder until the context ends, where --web asks for one. What
// is planned is planned now: later, it would be counted with the run's tensors.
func (f *runFlags) show(cmd *cobra.Command, configs ...train.Config) (func(), error) {
	if f.web == "" {
		return func() {}, nil
	}
	o := watch.Options{Samples: func(dir string) ([]watch.Sample, error) { return samples(cmd.Context(), dir, f.data) }}
	if len(configs) == 1 {
		bytes, err := forecastOf(configs[0], f.data)
		o.Forecast = func(string) (int64, error) { return bytes, err }
	}
	s, l, err := openPage(cmd, f.out, f.web, o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Serve(ctx, l); err != nil {
			warn(cmd)("the page has ended: " + err.Error())
		}
	}()
	return func() { cancel(); <-ended }, nil
}

func forecast(dir, from string) (int64, error) {
	c, err := train.LoadRun(dir, nil)
	if err != nil {
		return 0, err
	}
	return forecastOf(c, from)
}

func forecastOf(c train.Config, from string) (int64, error) {
	defer torch.Pin()()
	p, err := c.Forecast(from)
	return p.PeakBytes, err
}

// shownSamples is how many training images a page shows.
const shownSamples = 16

// samples draws the first images that the run in a folder trains on.
func samples(ctx context.Context, dir, from string) ([]watch.Sample, error) {
	c, err := train.LoadRun(dir, nil)
	if err != nil {
		return nil, err
	}
	b, info, err := c.Preview(ctx, from, shownSamples)
	if err != nil {
		return nil, err
	}
	if b.Bytes == nil {
		return nil, fault.New("%s has no images", info.Name)
	}
	var all []watch.Sample
	for i := range b.N {
		size := b.Shape.Size()
		text, err := drawn(b.Bytes[i*size:(i+1)*size], b.Shape)
		if err != nil {
			return nil, err
		}
		s := watch.Sample{PNG: text}
		s.Label = labelOf(b, i, info.Classes)
		all = append(all, s)
	}
	return all, nil
}

// labelOf names the class of a sample, or all that it has.
func labelOf(b data.Batch, i int, classes []string) string {
	if len(b.Has) == 0 {
		if k := int(b.Labels[i]); k >= 0 && k < len(classes) {
			return classes[k]
		}
		return ""
	}
	var all []string
	for k, has := range b.Has[i*len(classes) : (i+1)*len(classes)] {
		if has != 0 {
			all = append(all, classes[k])
		}
	}
	return strings.Join(all, ", ")
}

// drawn encodes an image of H × W × C bytes as PNG, grey where C is no 3.
func drawn(pixels []byte, shape data.Shape) ([]byte, error) {
	m := image.NewRGBA(image.Rect(0, 0, shape.W, shape.H))
	for y := range shape.H {
		for x := range shape.W {
			p := pixels[(y*shape.W+x)*shape.C:]
			c := color.RGBA{p[0], p[0], p[0], 0xff}
			if shape.C == 3 {
				c.G, c.B = p[1], p[2]
			}
			m.SetRGBA(x, y, c)
		}
	}
	var b bytes.Buffer
	err := png.Encode(&b, m)
	return b.Bytes(), err
}
