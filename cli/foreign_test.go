package cli

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/locus-learn/locus/torch"
)

// header is what a safetensors file says in front of its tensors' bytes.
type header map[string]json.RawMessage

// rewritten returns the file with another header.
func rewritten(t *testing.T, file []byte, change func(header)) []byte {
	t.Helper()
	size := binary.LittleEndian.Uint64(file)
	h := header{}
	if err := json.Unmarshal(file[8:8+size], &h); err != nil {
		t.Fatal(err)
	}
	change(h)
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text, file[8+size:])
}

// elsewhere writes a copy of a checkpoint outside its run folder, with other metadata, and returns its path.
func (b workbench) elsewhere(t *testing.T, checkpoint string, change func(meta map[string]string)) string {
	t.Helper()
	path := b.path("elsewhere.safetensors")
	write(t, path, rewritten(t, read(t, checkpoint), func(h header) {
		var meta map[string]string
		if err := json.Unmarshal(h["__metadata__"], &meta); err != nil {
			t.Fatal(err)
		}
		change(meta)
		text, err := json.Marshal(meta)
		if err != nil {
			t.Fatal(err)
		}
		h["__metadata__"] = text
	}))
	return path
}

// recipeLine replaces a line of the recipe in the metadata, which has two spaces in front of a section's keys.
func recipeLine(t *testing.T, section, key, value string) func(map[string]string) {
	return func(meta map[string]string) {
		t.Helper()
		lines := strings.Split(meta["locus.recipe"], "\n")
		in := ""
		for i, line := range lines {
			name, _, _ := strings.Cut(strings.TrimSpace(line), ":")
			if !strings.HasPrefix(line, " ") {
				in = name
			}
			if name == key && (in == section || section == "" && in == key) {
				lines[i] = line[:strings.Index(line, key)] + key + ": " + value
				meta["locus.recipe"] = strings.Join(lines, "\n")
				return
			}
		}
		t.Fatalf("the recipe has no %s.%s:\n%s", section, key, meta["locus.recipe"])
	}
}

// A checkpoint from elsewhere that claims more than it holds is refused for the first thing that is not so, before its
// network takes memory.
func TestForeignCheckpointsAreNotBelieved(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("run", "--steps", "1")...)
	set := func(key string, v any) func(map[string]string) {
		return func(meta map[string]string) {
			text, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			meta[key] = string(text)
		}
	}
	shape := func(c, h, w any) map[string]any { return map[string]any{"C": c, "H": h, "W": w} }
	for name, tt := range map[string]struct {
		change func(map[string]string)
		want   string
	}{
		"width 65536":       {recipeLine(t, "model", "width", "65536"), "conv1.weight"},
		"width 10⁶":         {recipeLine(t, "model", "width", "1000000"), "model.width"},
		"width 2⁶³":         {recipeLine(t, "model", "width", "9223372036854775807"), "model.width"},
		"depth 4094":        {recipeLine(t, "model", "depth", "4094"), "layer1.1.conv1.weight"},
		"depth 2⁶³":         {recipeLine(t, "model", "depth", "9223372036854775807"), "model.depth"},
		"classes 100000":    {recipeLine(t, "model", "classes", "100000"), "fc.weight"},
		"classes 10⁹":       {recipeLine(t, "model", "classes", "1000000000"), "model.classes"},
		"other net":         {recipeLine(t, "model", "name", "resnet152"), "model.depth"},
		"modules 4096":      {recipeLine(t, "method", "modules", "4096"), "method.modules"},
		"head 65536":        {recipeLine(t, "head", "width", "65536"), "heads.1.conv.weight"},
		"etf head":          {recipeLine(t, "head", "name", "etf"), "heads.1"},
		"open cuts":         {recipeLine(t, "method", "cuts", "auto"), "method.cuts"},
		"10⁶ classes named": {set("locus.classes", make([]string, 1e6)), "fc.weight"},
		"no classes":        {set("locus.classes", []string{}), "locus.classes"},
		"classes null":      {set("locus.classes", nil), "locus.classes"},
		"channels 2⁶²":      {set("locus.input", shape(1<<62, 32, 32)), "locus.input"},
		"channels 10⁵":      {set("locus.input", shape(100000, 32, 32)), "100000 channels"},
		"side 10⁹":          {set("locus.input", shape(3, 1000000000, 1000000000)), "locus.input"},
		"side −1":           {set("locus.input", shape(3, -1, 32)), "locus.input"},
		"no shape":          {set("locus.input", shape(0, 0, 0)), "locus.input"},
		"no number":         {set("locus.input", shape("three", 32, 32)), "locus.input"},
		"one mean":          {set("locus.dataset", map[string]any{"Name": "x", "Mean": []float64{1}, "Std": []float64{1}}), "locus.dataset"},
		"deviation 0":       {set("locus.dataset", map[string]any{"Mean": []float64{0, 0, 0}, "Std": []float64{1, 0, 1}}), "locus.dataset"},
		"deviation 1e-320":  {set("locus.dataset", map[string]any{"Mean": []float64{0, 0, 0}, "Std": []float64{1, 1e-320, 1}}), "locus.dataset"},
		"mean 1e300":        {set("locus.dataset", map[string]any{"Mean": []float64{1e300, 0, 0}, "Std": []float64{1, 1, 1}}), "locus.dataset"},
		"no recipe":         {func(m map[string]string) { m["locus.recipe"] = "" }, "no recipe names its network"},
		"a list":            {func(m map[string]string) { m["locus.recipe"] = "[1, 2]" }, "elsewhere.safetensors:1"},
		"a base":            {func(m map[string]string) { m["locus.recipe"] = "base: /etc/passwd\n" }, "base"},
		"unknown key":       {func(m map[string]string) { m["locus.recipe"] += "more: 1\n" }, "more"},
	} {
		t.Run(name, func(t *testing.T) {
			path := b.elsewhere(t, b.path("run/last.safetensors"), tt.change)
			torch.ResetPeak()
			before := torch.LiveBytes()
			refuse(t, []string{tt.want}, "eval", path, "--data", b.data)
			if peak := torch.PeakBytes() - before; peak > 1<<20 { // the network has 40 KB
				t.Errorf("%d bytes of tensors were allocated", peak)
			}
			refuse(t, []string{tt.want}, "predict", path, b.recipe)
			refuse(t, []string{tt.want}, "export", path, b.path("x.safetensors"))
		})
	}
}

// A file outside its run folder does not decide where data is looked for, nor what a machine is made to do.
func TestForeignCheckpointsDecideNothingElse(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("run", "--steps", "1")...)
	pipe := b.path("pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	t.Setenv("LOCUS_DATA", b.data)
	for name, change := range map[string]func(map[string]string){
		"a pipe for data":  recipeLine(t, "data", "dir", pipe),
		"/ for data":       recipeLine(t, "data", "dir", "/"),
		"256 workers":      recipeLine(t, "data", "workers", "256"),
		"65536 in a batch": recipeLine(t, "data", "batch", "65536"),
		"1024 threads":     recipeLine(t, "", "threads", "1024"),
		"a card":           recipeLine(t, "", "device", "cuda:7"),
	} {
		path := b.elsewhere(t, b.path("run/last.safetensors"), change)
		r := locus(t.Context(), "eval", path)
		if r.code != 0 || !strings.Contains(r.out, " in "+b.data) {
			t.Errorf("%s: exit code %d, want the data of $LOCUS_DATA\n%s%s", name, r.code, r.out, r.err)
		}
		if told := strings.Contains(r.err, "data.dir"); told != strings.HasSuffix(name, "for data") {
			t.Errorf("%s: it was said that data.dir is not heeded: %v\n%s", name, told, r.err)
		}
		if n := torch.Threads(); n > 64 {
			t.Errorf("%s: %d threads", name, n)
		}
	}
	before := read(t, b.path("run/last.safetensors"))
	write(t, b.path("run/last.safetensors"), read(t, b.elsewhere(t, b.path("run/last.safetensors"), recipeLine(t, "data", "dir", pipe))))
	os.Unsetenv("LOCUS_DATA")
	refuse(t, []string{"data folder", pipe}, "eval", b.path("run")) // a run is believed, and a pipe is no folder
	write(t, b.path("run/last.safetensors"), before)
}

// Classes and tensors may have any names; none of them reaches a terminal raw.
func TestForeignNamesAreQuoted(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("run", "--steps", "1")...)
	picture := b.path("picture.png")
	drawPNG(t, picture, 32, 32)
	path := b.elsewhere(t, b.path("run/last.safetensors"), func(meta map[string]string) {
		var classes []string
		for i := range 10 {
			classes = append(classes, fmt.Sprintf("\x1b[2Jclass\n%d\u202e", i))
		}
		text, _ := json.Marshal(classes)
		meta["locus.classes"] = string(text)
	})
	if out := succeed(t, "predict", path, picture); strings.ContainsAny(out, "\x1b\u202e") || strings.Count(out, "\n") != 1 {
		t.Errorf("a class's name reached the terminal: %q", out)
	}
	init := b.path("evil.safetensors")
	write(t, init, rewritten(t, read(t, path), func(h header) {
		h["\x1b]0;x\a\nconv1"] = h["conv1.weight"]
		delete(h, "conv1.weight")
	}))
	refuse(t, []string{"evil.safetensors", "conv1.weight"}, b.train("other", "--init", init)...)
	write(t, init, rewritten(t, read(t, path), func(h header) {
		h["\x1b]0;x\a\nconv1"] = json.RawMessage(`{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`)
	}))
	refuse(t, []string{`\x1b]0;x\a\nconv1`, "no place in the network"}, b.train("other", "--init", init)...)
}
