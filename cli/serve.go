package cli

import (
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/recipe"
	"github.com/locus-learn/locus/serve"
	"github.com/locus-learn/locus/train"
)

func newServe() *cobra.Command {
	var listen string
	var sets []string
	cmd := &cobra.Command{
		Use:   "serve RUN|CHECKPOINT",
		Short: "Answer over HTTP with a trained network",
		Long: `Answer over HTTP with a trained network.

POST /predict takes an image's bytes, or JSON: {"images": ["BASE64", …], "top": 3}. It answers with the most probable
classes. /metrics is for Prometheus, /healthz for whoever watches, and / is a page to drop a picture on.

Images that wait are computed together. Keys serve.… of the recipe bound requests, bytes, pixels and time; 'locus list
keys' shows them. Ctrl-C or SIGTERM ends the server after what was asked is answered.`,
		Example: `  locus serve runs/mine
  locus serve runs/mine --confidence 0.9 --listen 127.0.0.1:9000
  curl --data-binary @cat.jpg http://127.0.0.1:8080/predict`,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return serveOne(cmd, args[0], listen, sets) },
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8080", "`ADDRESS` to listen on; without a host, on every network")
	cmd.Flags().Var(assignments{to: &sets, key: "serve.confidence"}, "confidence", "the first head whose best class has probability `P` answers (serve.confidence; default the recipe's)")
	addSet(cmd, &sets)
	return cmd
}

func serveOne(cmd *cobra.Command, path, listen string, sets []string) error {
	t, err := train.Open(path, sets...)
	if err != nil {
		return err
	}
	defer t.Free()
	if err := recipe.Validate(&t.Config.Serve); err != nil {
		return err
	}
	s, err := serve.New(t, t.Config.Serve)
	if err != nil {
		return err
	}
	defer s.Close()
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return fault.New("--listen is %s: %w; must be HOST:PORT with a free port, such as 127.0.0.1:8080", listen, err)
	}
	if at, ok := l.Addr().(*net.TCPAddr); ok && !at.IP.IsLoopback() {
		warn(cmd)("--listen is " + listen + ": whoever can reach this machine can ask; there is no password and no TLS")
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s answers on http://%s, %d classes; Ctrl-C ends it\n", t.Path, l.Addr(), len(t.Classes))
	return s.Serve(cmd.Context(), l)
}
