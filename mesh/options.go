// Package mesh trains one network on several processes: parts of each batch on R of them (data parallel), runs of modules on M
// of them (module parallel), or both, on R·M.
//
// Rank 0 has the loop, the run folder and the first modules. The other ranks follow its commands, which travel with the
// batches from rank to rank, so that no rank steps, stops or saves alone. Rank r·M + m has the m-th run of modules and the r-th
// part of each batch.
package mesh

import (
	"time"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/torch/dist"
)

// Options is the `mesh` section of a recipe. How many processes there are is said by what starts them.
type Options struct {
	Data      int    `recipe:"data" default:"0" min:"0" max:"4096" doc:"R, processes that each train on an equal part of every batch; 0 = as many as mesh.modules leaves"`
	Modules   int    `recipe:"modules" default:"1" min:"1" max:"4096" doc:"M, processes that each have a run of the modules"`
	Engine    string `recipe:"engine" default:"auto" oneof:"auto gloo nccl" doc:"what moves tensors between processes: gloo, by the processor's memory; nccl, from card to card; auto is nccl for device: cuda and gloo for cpu"`
	Link      string `recipe:"link" default:"same" oneof:"same bf16" doc:"type of the features between processes: that of the run, or bfloat16, which halves float32's traffic and changes results"`
	SyncNorm  bool   `recipe:"sync_norm" default:"false" doc:"batch normalisation over all parts of a batch, as one process has it; costs two messages a normalisation"`
	Timeout   int    `recipe:"timeout" default:"30" min:"1" max:"86400" doc:"seconds after which a process that says nothing is given up, and the run with it"`
	Interface string `recipe:"interface" doc:"network interface that processes talk over, such as eth0; empty = the one that reaches the first process"`
	Port      int    `recipe:"port" default:"0" min:"0" max:"65535" doc:"of the first process, where the others meet; 0 = the launcher's, or the one behind it where the launcher uses that itself"`
}

// Shape is how ranks are laid out: R copies of each module, M runs of modules.
type Shape struct{ Data, Modules int }

// Shape returns the layout of so many processes, or a fault.
func (o Options) Shape(world int) (Shape, error) {
	s := Shape{o.Data, o.Modules}
	if s.Data == 0 && world%s.Modules == 0 {
		s.Data = world / s.Modules
	}
	if s.Data*s.Modules != world {
		return s, fault.New("mesh.data is %d and mesh.modules %d: their product must be %d, the number of processes that were started ('--nproc N' or the launcher says how many)",
			o.Data, o.Modules, world)
	}
	return s, nil
}

// Fits returns a fault unless a network of so many modules and batches of so many samples can be laid out so.
func (s Shape) Fits(modules, batch int) error {
	switch {
	case s.Modules > modules:
		return fault.New("mesh.modules is %d: must be at most %d, the number of modules (method.modules or method.cuts make more)", s.Modules, modules)
	case batch%s.Data != 0:
		return fault.New("data.batch is %d: must be a multiple of %d, the number of processes that share a batch (mesh.data)", batch, s.Data)
	}
	return nil
}

// Run returns the modules from … end−1, counted from 0, of the m-th of M ranks.
func (s Shape) Run(m, modules int) (from, end int) {
	return modules * m / s.Modules, modules * (m + 1) / s.Modules
}

// engine returns what moves the tensors of a process with such a device.
func (o Options) engine(d torch.Device) dist.Engine {
	switch {
	case o.Engine != "" && o.Engine != "auto":
		return dist.Engine(o.Engine)
	case d.IsCUDA():
		return dist.NCCL
	}
	return dist.Gloo
}

func (o Options) patience() time.Duration { return time.Duration(o.Timeout) * time.Second }
