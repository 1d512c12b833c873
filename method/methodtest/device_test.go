package methodtest

import (
	"strings"
	"testing"
	"time"

	"github.com/locus-learn/locus/internal/testdevice"
	"github.com/locus-learn/locus/local"
	"github.com/locus-learn/locus/nn"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/zoo"
)

// all lists the suite's subjects and their variants.
func all(t *testing.T) []Subject {
	t.Helper()
	subjects, err := Subjects(1)
	if err != nil {
		t.Fatal(err)
	}
	more, err := Variants(1)
	if err != nil {
		t.Fatal(err)
	}
	return append(subjects, more...)
}

// Every method, network, head, optimizer and kind of data of the suite learns on a device what it learns on the CPU.
func TestDevicesEndAtTheCPUsWeights(t *testing.T) {
	for _, s := range all(t) {
		t.Run(s.Name, func(t *testing.T) {
			s.only = "device"
			before := testdevice.Take().Held
			Run(s.On(torch.TestDevice), func(f Finding) {
				if f.Failed() {
					t.Error(f.Failure)
				}
				t.Logf("%s (%.2f s)", f.Note, f.Seconds)
			})
			if testdevice.Take().Operations == 0 {
				t.Error("nothing has run on the device")
			}
			// Autograd goes back in a thread of its own on a device, which lets go of its last tensors a little later.
			left := func() int64 { return testdevice.Take().Held - before }
			for began := time.Now(); left() != 0 && time.Since(began) < 5*time.Second; {
				time.Sleep(time.Millisecond)
			}
			if n := left(); n != 0 {
				t.Errorf("%d bytes are left on the device", n)
			}
		})
	}
}

// What is done otherwise on a device is found, and so is a constant that was left on the CPU.
func TestFaultsOfDevicesAreFound(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		loss       objective
	}{
		{"another loss", "in float64", func(p *nn.Pass, m *local.Module, xk torch.Tensor, in local.Signal) torch.Tensor {
			factor := 1.0
			if xk.Device() != torch.CPU {
				factor = 1 + 1e-4
			}
			return times(p, m, xk, in, factor)
		}},
		{"a constant of the CPU", "same device", func(p *nn.Pass, m *local.Module, xk torch.Tensor, in local.Signal) torch.Tensor {
			s := torch.NewScope(torch.NoGrad)
			defer s.Close()
			return p.Sum(p.Mul(times(p, m, xk, in, 1), s.Full(torch.Float32, 1, 2)))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := newSubject("layerwise", 1, false)
			if err != nil {
				t.Fatal(err)
			}
			s.only = "device"
			s.plant = func(c *local.Chain) { c.Rule.Objective = tt.loss }
			Run(s.On(torch.TestDevice), func(f Finding) {
				if !strings.Contains(f.Failure, tt.want) {
					t.Errorf("found %q, want %q", f.Failure, tt.want)
				}
			})
		})
	}
}

// costs bound what a step may cost on a device: how often the processor waits for it, and bytes copied to the host.
var costs = map[string]struct {
	stalls int
	toHost int64
}{
	"bp":                                   {30, 240},
	"layerwise":                            {46, 368},
	"layerwise + sgr":                      {58, 147856},
	"sgr":                                  {58, 147856},
	"greedy":                               {17, 136},
	"dgl":                                  {78, 624},
	"dgl + sgr":                            {90, 148112},
	"infopro":                              {56, 448},
	"infopro + sgr":                        {68, 147936},
	"infopro-contrast":                     {56, 448},
	"infopro-contrast + sgr":               {68, 147936},
	"reforward":                            {46, 368},
	"reforward + sgr":                      {58, 147856},
	"etf":                                  {30, 240},
	"etf-sgr":                              {50, 639216},
	"etf-reforward":                        {30, 240},
	"fa":                                   {30, 240},
	"dfa":                                  {19, 152},
	"drtp":                                 {29, 232},
	"pepita":                               {22, 176},
	"barlow":                               {35, 280},
	"barlow-blockwise":                     {55, 440},
	"barlow-blockwise + sgr":               {67, 295384},
	"barlow-sgr":                           {63, 295352},
	"sgr: resnet18":                        {91, 37528},
	"layerwise: resnet50":                  {178, 1424},
	"layerwise: vgg11 with dropout":        {39, 312},
	"layerwise: vgg12":                     {51, 408},
	"sgr: vit with stochastic depth":       {79, 39736},
	"layerwise: swin":                      {119, 952},
	"drtp: conv32":                         {13, 104},
	"pepita: conv32_relu":                  {10, 80},
	"dfa: mlp":                             {13, 104},
	"sgr: linear head":                     {48, 147776},
	"layerwise: auglocal head":             {63, 504},
	"layerwise: infopro head":              {46, 368},
	"layerwise: momentum":                  {46, 368},
	"sgr: adamw":                           {58, 147856},
	"sgr: lars":                            {86, 148080},
	"layerwise: clip, accumulate, average": {89, 712},
	"sgr: tangent":                         {54, 147824},
	"sgr: double":                          {50, 147824},
	"sgr: raw gradients":                   {58, 147856},
	"sgr: fraction":                        {60, 74144},
	"sgr: checkpoints":                     {58, 147856},
	"layerwise: smoothed labels":           {49, 368},
	"sgr: mixed labels":                    {58, 147856},
	"layerwise: bfloat16":                  {46, 368},
	"infopro: images as they are":          {56, 448},
}

// A step waits for the device no more often, and copies no more to the host, than the table says.
func TestStepsCostWhatTheTableSays(t *testing.T) {
	for _, s := range all(t) {
		if s.spec.Method.Pipeline > 0 {
			continue // its steps are those of the chain
		}
		t.Run(s.Name, func(t *testing.T) {
			limit, listed := costs[s.Name]
			if !listed {
				limit.stalls, limit.toHost = 1, 64
			}
			c := count(t, s)
			if c.Stalls > limit.stalls || c.ToHost > limit.toHost {
				t.Errorf("%d stalls and %d bytes to the host, want at most %d and %d", c.Stalls, c.ToHost, limit.stalls, limit.toHost)
			}
			t.Log(c)
		})
	}
}

// count returns what the second step of a subject costs on the device.
func count(t *testing.T, s Subject) (c testdevice.Counts) {
	t.Helper()
	r, err := s.rigOn(torch.TestDevice, s.spec.DType)
	if err != nil {
		t.Fatal(err)
	}
	defer r.free()
	for step := range 2 {
		x, y := r.batch(uint64(step))
		testdevice.Take()
		if _, err := r.Step(x, y, local.Tick{Step: step, LR: 0.01}); err != nil {
			t.Fatal(err)
		}
		c = testdevice.Take()
	}
	if _, err := r.Drain(); err != nil {
		t.Fatal(err)
	}
	return c
}

// Reconciliation launches less than twice what local losses alone do.
func TestReconciliationLaunchesFewOperations(t *testing.T) {
	operations := map[string]int{}
	for _, name := range []string{"layerwise", "sgr"} {
		s := Subject{Name: name, spec: smallSpec(name, 1)}
		s.spec.Net = zoo.Options{Name: "resnet32", Width: 4}
		operations[name] = count(t, s).Operations
	}
	ratio := float64(operations["sgr"]) / float64(operations["layerwise"])
	t.Logf("%v, ratio %.2f", operations, ratio)
	if ratio > 1.9 {
		t.Errorf("sgr launches %.2f times the operations of layerwise, want at most 1.9", ratio)
	}
}
