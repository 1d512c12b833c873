package bench

import (
	"fmt"

	"github.com/locus-learn/locus/record"
)

// Plot draws the rows in one SVG at path: the seconds of a step, with a whisker from the fastest to the slowest, and
// below the memory, peak split into what rests between steps and what only a step needs.
func Plot(path string, rows []Result) error {
	times := record.Bars{Title: "Time", Axis: "seconds a step, median and range", Parts: []string{"forward, backward, update"}}
	memory := record.Bars{Title: "Memory", Axis: "peak of live tensors (MiB)", Parts: record.MemoryParts}
	for _, r := range rows {
		name := r.Method
		if r.Modules > 1 {
			name = fmt.Sprintf("%s, K=%d", r.Method, r.Modules)
		}
		times.Bars = append(times.Bars, record.Bar{
			Name: name, Label: fmt.Sprintf("%.4f", r.StepSeconds), Parts: []float64{r.StepSeconds},
			Low: r.StepSecondsMin, High: r.StepSecondsMax,
		})
		memory.Bars = append(memory.Bars, record.MemoryBar(name, r.RestingBytes, r.PeakBytes))
	}
	return record.PlotBars(path, times, memory)
}
