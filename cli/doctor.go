package cli

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/data/images"
	"github.com/locus-learn/locus/internal/host"
	"github.com/locus-learn/locus/torch"
)

// finding is one line of the doctor's: hint says what to do about it and makes it a warning.
type finding struct{ topic, text, hint string }

func newDoctor() *cobra.Command {
	var environment bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at the engine, the machine and the data sets",
		Long:  "Look at the engine, the machine and the data sets. A line is ok, or warns and says what to do.",
		Args:  takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			engine := torch.Describe() // which may set the environment
			if environment {
				if core := os.Getenv(host.CoreType); core != "" {
					fmt.Fprintf(cmd.OutOrStdout(), "%s=%s\n", host.CoreType, core)
				}
				return nil
			}
			found := slices.Concat(examineEngine(engine), examineKernel(engine.Kernel, host.Processor()),
				examineCUDA(torch.DescribeCUDA()), examineCPU("/proc/cpuinfo"), examineMemory(), []finding{examineGloo(), examineLauncher()}, examineData())
			var rows []string
			for _, f := range found {
				verdict := "ok"
				if f.hint != "" {
					verdict, f.text = "warn", f.text+": "+f.hint
				}
				rows = append(rows, verdict+"\t"+f.topic+"\t"+f.text)
			}
			return printColumns(cmd.OutOrStdout(), rows)
		},
	}
	cmd.Flags().BoolVar(&environment, "environment", false, "only print what the engine is started with, for other programs that use it")
	return cmd
}

func examineEngine(e torch.Engine) []finding {
	blas := finding{"BLAS", e.BLAS, ""}
	switch {
	case e.BLAS == "reference BLAS":
		blas.hint = "it is slow; apt-get install libopenblas0-openmp, or a libtorch with MKL"
	case strings.HasPrefix(e.BLAS, "OpenBLAS") && !strings.Contains(e.BLAS, "USE_OPENMP"):
		blas.hint = "its threads get in the way of libtorch's; apt-get install libopenblas0-openmp"
	}
	onednn := finding{"oneDNN", "convolutions run at the machine's limit", ""}
	if !e.OneDNN {
		onednn = finding{"oneDNN", "missing", "convolutions are slow; use a libtorch that was built with it"}
	}
	return []finding{
		{"engine", fmt.Sprintf("libtorch %s, vector code for %s", e.Version, e.Capability), ""},
		blas, onednn,
		examineTeam(e.Threads),
	}
}

// examineCUDA warns only where there is a driver, since a machine need not have a card.
func examineCUDA(l torch.CUDALibrary) []finding {
	f := finding{"CUDA", l.Problem, ""}
	if l.Driver != "" && l.Problem != "" {
		f.text, f.hint = "NVIDIA's driver "+l.Driver, l.Problem
	}
	if l.Problem == "" {
		f.text = fmt.Sprintf("driver %s, libtorch's CUDA %s, cuDNN %s", cmp.Or(l.Driver, "unknown"), l.Version, cmp.Or(l.CuDNN, "missing"))
	}
	found := []finding{f}
	for _, card := range l.Cards {
		found = append(found, finding{card.Device.String(), fmt.Sprintf("%s, %.1f GiB", card.Name, float64(card.Bytes)/(1<<30)), ""})
	}
	if len(l.Cards) > 0 {
		found = append(found, finding{"graphs", cmp.Or(l.Graphs, "steps can be recorded (graphs=true)"), ""})
	}
	return found
}

// examineCPU looks for the instructions that decide how fast steps are; it says nothing on a machine that is no x86.
func examineCPU(cpuinfo string) []finding {
	flags := strings.Fields(procValue(cpuinfo, "flags"))
	if len(flags) == 0 {
		return nil
	}
	var has, lacks []string
	for _, want := range []string{"avx2", "avx512f", "avx512_bf16", "amx_bf16"} {
		if slices.Contains(flags, want) {
			has = append(has, want)
		} else {
			lacks = append(lacks, want)
		}
	}
	f := finding{"CPU", "has " + strings.Join(append(has, "no "+strings.Join(lacks, ", no ")), ", "), ""}
	switch {
	case len(lacks) == 0:
		f.text = "has " + strings.Join(has, ", ")
	case slices.Contains(lacks, "avx2"):
		f.hint = "steps are several times slower than on a CPU with avx2"
	case slices.Contains(lacks, "avx512_bf16") && slices.Contains(lacks, "amx_bf16"):
		f.hint = "precision=bf16 saves memory here but no time"
	}
	return []finding{f}
}

// littleMemory is where the quickstart begins to be tight, in KiB.
const littleMemory = 1 << 20

func examineMemory() []finding {
	free, err := strconv.ParseInt(strings.TrimSuffix(procValue("/proc/meminfo", "MemAvailable"), " kB"), 10, 64)
	if err != nil {
		return nil // no Linux
	}
	f := finding{"memory", fmt.Sprintf("%.1f GiB available", float64(free)/(1<<20)), ""}
	if free < littleMemory {
		f.hint = "a smaller data.batch, or precision=bf16, needs less"
	}
	return []finding{f}
}

// procValue finds the first line "key: value" of a file of the kernel's.
func procValue(path, key string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if k, v, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func examineData() []finding {
	env := finding{data.EnvDir, "not set", ""}
	if dirs := filepath.SplitList(os.Getenv(data.EnvDir)); len(dirs) > 0 {
		env.text = strings.Join(dirs, ", ")
		for _, dir := range dirs {
			if info, err := os.Stat(dir); err != nil || !info.IsDir() {
				env.hint = dir + " is no folder"
			}
		}
	}
	jpeg := finding{"JPEG", "libjpeg-turbo", ""}
	if err := images.JPEG(); err != nil {
		jpeg = finding{"JPEG", "missing", err.Error()}
	}
	found := []finding{env, jpeg}
	for _, s := range data.Sets() {
		if s.Home == nil {
			continue // nothing that could be missing
		}
		at, looked := s.Home.Find(nil)
		if len(found) == 2 {
			found = append(found, finding{"data", "looked for in " + strings.ReplaceAll(strings.Join(looked, ", "), s.Name, "SET"), ""})
		}
		f := finding{s.Name, at, ""}
		if s.Home.Own && at == "" {
			continue // what a machine need not have
		}
		if at == "" {
			f.text, f.hint = "not found", "'locus data get "+s.Name+"' says how to get it and where to put it"
		}
		found = append(found, f)
	}
	return found
}
