package cli

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"os"
	"runtime/pprof"
	"strconv"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/runfolder"
	"github.com/locus-learn/locus/record"
)

// Files of a profile.
const (
	cpuFile     = "cpu.pprof"
	modulesFile = "modules.csv"
)

// profile is where the time of a run goes: a sink that sums up what modules take, beside a profile of the processor.
type profile struct {
	record.Sink
	folder     *runfolder.Folder
	cpu        *os.File
	steps      int
	busy, wait []float64 // seconds of each module
}

// startProfile begins to measure. The files are claimed before: a run may be long.
func startProfile(dir string) (*profile, error) {
	folder, err := runfolder.Open(dir, nil, nil)
	if err != nil {
		return nil, err
	}
	p := &profile{Sink: record.Tee(), folder: folder}
	if err = folder.Make(); err == nil {
		err = folder.Claim(cpuFile, modulesFile)
	}
	if err == nil {
		p.cpu, err = os.Create(folder.Path(cpuFile))
		if err != nil {
			err = folder.Failed(cpuFile, err)
		}
	}
	if err == nil {
		err = pprof.StartCPUProfile(p.cpu)
	}
	if err != nil {
		folder.Close()
		return nil, err
	}
	return p, nil
}

// Step implements [record.Sink].
func (p *profile) Step(s record.Step) error {
	p.steps++
	add := func(sums, values []float64) []float64 {
		for k, v := range values {
			if k == len(sums) {
				sums = append(sums, 0)
			}
			if !math.IsNaN(v) {
				sums[k] += v
			}
		}
		return sums
	}
	p.busy, p.wait = add(p.busy, s.ModuleBusy), add(p.wait, s.ModuleWait)
	return nil
}

// end stops measuring, writes the table and prints it.
func (p *profile) end(w io.Writer) (err error) {
	defer func() {
		if closing := p.folder.Close(); err == nil {
			err = closing
		}
	}()
	pprof.StopCPUProfile()
	if err := p.cpu.Close(); err != nil {
		return p.folder.Failed(cpuFile, err)
	}
	if p.steps == 0 { // the run did not come to a step: there is nothing to look at
		return p.folder.Remove(cpuFile, modulesFile)
	}
	rows := p.rows()
	var b bytes.Buffer
	if err := csv.NewWriter(&b).WriteAll(append([][]string{{"module", "steps", "busy_seconds", "wait_seconds"}}, rows...)); err != nil {
		return err
	}
	if err := disk.WriteFile(p.folder.Path(modulesFile), b.Bytes()); err != nil {
		return p.folder.Failed(modulesFile, err)
	}
	if err := p.print(w); err != nil {
		return err
	}
	return printColumns(w, []string{"profile\t" + p.folder.Path(cpuFile) + "\tgo tool pprof -http : " + shellWord(p.folder.Path(cpuFile)), "table\t" + p.folder.Path(modulesFile)})
}

func (p *profile) rows() (rows [][]string) {
	for k, busy := range p.busy {
		wait := 0.0
		if k < len(p.wait) {
			wait = p.wait[k]
		}
		text := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
		rows = append(rows, []string{strconv.Itoa(k + 1), strconv.Itoa(p.steps), text(busy), text(wait)})
	}
	return rows
}

// print shows what a step takes in each module.
func (p *profile) print(w io.Writer) error {
	all := 0.0
	for _, busy := range p.busy {
		all += busy
	}
	var rows []table.Row
	for k, busy := range p.busy {
		row := table.Row{k + 1, fmt.Sprintf("%.3g", 1e3*busy/float64(p.steps)), fmt.Sprintf("%.1f", 100*busy/all)}
		if len(p.wait) > 0 {
			row = append(row, fmt.Sprintf("%.3g", 1e3*p.wait[k]/float64(p.steps)))
		}
		rows = append(rows, row)
	}
	header := table.Row{"module", "ms a step", "of all modules, %"}
	if len(p.wait) > 0 {
		header = append(header, "ms it waits")
	}
	return printTable(w, header, rows, 2)
}
