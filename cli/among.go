package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/mesh"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/train"
)

// among trains with the other processes that a launcher has started. lead is what rank 0 does.
func among(cmd *cobra.Command, place mesh.Place, c train.Config, o train.Options, lead func(*cobra.Command, train.Config, train.Options) error) (err error) {
	if place.LocalWorld > 1 && c.Threads == 0 && place.Path == "" { // torchrun sets OMP_NUM_THREADS to 1 whatever there is
		os.Setenv("OMP_NUM_THREADS", strconv.Itoa(max(1, runtime.GOMAXPROCS(0)/place.LocalWorld)))
	}
	if c.Device.IsCUDA() {
		cards := len(torch.DescribeCUDA().Cards) // one, where a launcher gives each process its own
		c.Device = torch.CUDA(place.LocalRank % max(1, cards))
	}
	w, err := mesh.Join(place, c.Mesh, c.Device)
	if err != nil {
		return err
	}
	w.OnFail(func(cause error) { os.Exit(report(cmd.ErrOrStderr(), cause)) })
	o.World = w
	if place.Rank > 0 {
		return follow(cmd, w, c, o)
	}
	if line := w.Warning(); line != "" {
		o.Notice(line)
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	w.OnStop(cancel)
	cmd.SetContext(ctx)
	err = lead(cmd, c, o)
	if lost, ok := errors.AsType[*mesh.Lost](err); ok {
		err = lost // whatever it has kept from being done
	}
	if err != nil && !o.World.Begun() {
		w.Refuse(err)
	}
	w.Close(told(err), exitCode(err))
	return err
}

// told is what the other ranks print of how a run has ended.
func told(err error) error {
	if code := exitCode(err); code == 0 || code == 130 {
		return nil
	}
	return explain(err)
}

// follow is what the other ranks do.
func follow(cmd *cobra.Command, w *mesh.World, c train.Config, o train.Options) error {
	go func() {
		<-cmd.Context().Done()
		w.Stop()
	}()
	mine := &c
	if o.Resume {
		mine = nil // rank 0 has the run folder
	}
	err := train.Follow(mine, o)
	code := exitCode(err)
	if err == nil {
		code, err = w.Ending()
	}
	w.Close(err, code)
	if err == nil && code == 130 {
		return fmt.Errorf("%w", train.ErrInterrupted)
	}
	return err
}

// examineLauncher says how processes were started, if they were.
func examineLauncher() finding {
	place, err := mesh.Find()
	switch {
	case err != nil:
		return finding{"launcher", "unusable", err.Error()}
	case place.Launcher == "":
		return finding{"launcher", "none: one process (--nproc starts more)", ""}
	case place.World == 1:
		return finding{"launcher", place.Launcher + ", one process", ""}
	}
	where := place.Host + ":" + strconv.Itoa(place.Port)
	if place.Path != "" {
		where = place.Path
	}
	return finding{"launcher", fmt.Sprintf("%s, rank %d of %d, which meet at %s", place.Launcher, place.Rank, place.World, where), ""}
}

// examineGloo says whether processes can talk.
func examineGloo() finding {
	if !mesh.Able() {
		return finding{"processes", "Gloo is missing", "one process only; apt-get install libgloo-dev beside the distribution's libtorch-dev, and build again"}
	}
	if !torch.Describe().CUDA {
		return finding{"processes", "talk over Gloo", ""}
	}
	version, err := mesh.NCCL()
	if err != nil {
		return finding{"processes", "talk over Gloo", err.Error()}
	}
	return finding{"processes", "talk over Gloo, and cards over NCCL " + version, ""}
}

// alone returns a fault where a recipe asks for several processes and this is one.
func alone(place mesh.Place, c train.Config) error {
	if place.World > 1 || c.Mesh.Modules < 2 && c.Mesh.Data < 2 {
		return nil
	}
	return fault.New("mesh.data is %d and mesh.modules %d: this is one process; --nproc N or a launcher starts more", c.Mesh.Data, c.Mesh.Modules)
}

// again is the command line without --nproc, and for all processes with the same folder of results.
func (f *runFlags) again(cmd *cobra.Command) []string {
	args := []string{cmd.Name()}
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		if flag.Name == "nproc" || flag.Name == "set" || flag.Name == "device" {
			return
		}
		args = append(args, "--"+flag.Name+"="+flag.Value.String())
	})
	for _, s := range f.sets {
		args = append(args, "--set", s)
	}
	return append(args, cmd.Flags().Args()...)
}
