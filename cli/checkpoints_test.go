package cli

import (
	"encoding/binary"
	"strings"
	"testing"
)

func TestCheckpointsThatDoNotFit(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("run", "--steps", "1")...)
	checkpoint := b.path("run/last.safetensors")
	mismatch := []string{"conv1.weight", "[4 3 3 3]", "[8 3 3 3]"}
	refuse(t, mismatch, b.train("other", "--init", checkpoint, "--set", "model.width=8")...)
	refuse(t, []string{"model.width is 8, and 4 when the run"}, "train", "--resume", "--out", b.path("run"), "--data", b.data, "--set", "model.width=8")
	refuse(t, []string{"layer1.1.conv1.weight", "[4 4 3 3]"}, b.train("other", "--init", checkpoint, "--set", "model.depth=14")...)
	succeed(t, b.train("cut", "--init", checkpoint, "--set", "method.modules=4", "--steps", "1")...)

	whole := read(t, checkpoint)
	lying := append([]byte{}, whole...)
	binary.LittleEndian.PutUint64(lying, 1<<60)
	swollen := []byte(strings.Replace(string(whole), `"shape":[4,3,3,3]`, `"shape":[9,3,3,3]`, 1))
	for name, content := range map[string][]byte{
		"truncated": whole[:len(whole)-100], "stump": whole[:100], "lying": lying, "swollen": swollen, "empty": nil, "text": []byte(tiny),
	} {
		t.Run(name, func(t *testing.T) {
			write(t, checkpoint, content)
			refuse(t, []string{checkpoint}, "eval", b.path("run"), "--data", b.data)
			refuse(t, []string{checkpoint}, "predict", checkpoint, b.recipe)
			refuse(t, []string{checkpoint}, "export", checkpoint, b.path("x.safetensors"))
			refuse(t, []string{checkpoint}, b.train("other", "--init", checkpoint)...)
			refuse(t, []string{checkpoint}, "train", "--resume", "--out", b.path("run"), "--data", b.data)
		})
	}
}

func TestDivergenceNamesModuleAndStepAndKeepsTheCheckpoint(t *testing.T) {
	b := newWorkbench(t)
	refuse(t, []string{"module 1", "step ", "last.safetensors", "optim.lr"}, b.train("run", "--set", "optim.lr=1000")...)
	succeed(t, "eval", b.path("run"), "--data", b.data)
	if !strings.Contains(string(read(t, b.path("run/summary.json"))), "of module 1") {
		t.Error("summary.json does not tell why the run stopped")
	}
}

func TestForceKeepsTheOldRunUntilTheNewOneCanBegin(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("run", "--steps", "1")...)
	before := read(t, b.path("run/last.safetensors"))
	refuse(t, []string{"method.modules"}, b.train("run", "--force", "--set", "method.modules=9")...)
	if string(read(t, b.path("run/last.safetensors"))) != string(before) {
		t.Error("the old run is gone though the new one could not begin")
	}
	succeed(t, b.train("run", "--force", "--init", b.path("run/last.safetensors"), "--steps", "0")...)
}
