package record

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"google.golang.org/protobuf/encoding/protowire"
)

// crc32c computes CRC-32C bit by bit, so that the test shares no table and no code with the writer.
func crc32c(b []byte) uint32 {
	crc := ^uint32(0)
	for _, x := range b {
		crc ^= uint32(x)
		for range 8 {
			crc = crc>>1 ^ -(crc&1)&0x82f63b78
		}
	}
	return ^crc
}

type tbEvent struct {
	wall    float64
	step    int
	version string
	restart bool
	scalars map[string]float32
}

// readEvents reads an event file by the specification of TFRecord and event.proto, checking every checksum.
func readEvents(t *testing.T, path string) []tbEvent {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	checked := func(n uint64) []byte {
		if uint64(len(b)) < n+4 {
			t.Fatalf("record of %d bytes is cut off", n)
		}
		data, sum := b[:n], binary.LittleEndian.Uint32(b[n:])
		sum -= 0xa282ead8
		if want := crc32c(data); sum>>17|sum<<15 != want {
			t.Fatalf("checksum %08x, want %08x", sum>>17|sum<<15, want)
		}
		b = b[n+4:]
		return data
	}
	var events []tbEvent
	for len(b) > 0 {
		events = append(events, parseTB(t, checked(binary.LittleEndian.Uint64(checked(8)))))
	}
	return events
}

func parseTB(t *testing.T, message []byte) tbEvent {
	e := tbEvent{scalars: map[string]float32{}}
	eachField(t, message, func(n protowire.Number, bits uint64, content []byte) {
		switch n {
		case 1:
			e.wall = math.Float64frombits(bits)
		case 2:
			e.step = int(bits)
		case 3:
			e.version = string(content)
		case 5:
			eachField(t, content, func(_ protowire.Number, _ uint64, value []byte) {
				var tag string
				eachField(t, value, func(n protowire.Number, bits uint64, content []byte) {
					if n == 1 {
						tag = string(content)
					} else {
						e.scalars[tag] = math.Float32frombits(uint32(bits))
					}
				})
			})
		case 7:
			e.restart = bytes.Equal(content, []byte{1 << 3, 1})
		}
	})
	return e
}

func eachField(t *testing.T, b []byte, visit func(n protowire.Number, bits uint64, content []byte)) {
	t.Helper()
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		b = b[max(n, 0):]
		var bits uint64
		var content []byte
		switch kind {
		case protowire.VarintType:
			bits, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			bits, n = protowire.ConsumeFixed64(b)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			bits = uint64(v)
		case protowire.BytesType:
			content, n = protowire.ConsumeBytes(b)
		}
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		b = b[n:]
		visit(number, bits, content)
	}
}

func TestTensorBoard(t *testing.T) {
	if got := crc32c([]byte("123456789")); got != 0xe3069283 {
		t.Fatalf("the test's own CRC-32C is wrong: %08x", got)
	}
	synctest.Test(t, func(t *testing.T) { // a bubble's clock starts at midnight UTC 2000-01-01
		dir := t.TempDir()
		tb, err := OpenTensorBoard(dir)
		if err != nil {
			t.Fatal(err)
		}
		feed(t, tb, Start{First: 5}, steps(10, 2, 10), epochs(1, 2))
		files, _ := filepath.Glob(filepath.Join(dir, "events.out.tfevents.0946684800.*"))
		if len(files) != 1 {
			t.Fatalf("files: %v, want one", files)
		}
		events := readEvents(t, files[0])
		if len(events) != 5 || events[0].version != "brain.Event:2" || !events[2].restart || events[2].step != 6 {
			t.Fatalf("events %+v, want version, layout, restart at 6, step, epoch", events)
		}
		events = events[1:]
		if events[2].wall != 946684800 || events[2].step != 10 {
			t.Errorf("step event at time %v, step %d", events[2].wall, events[2].step)
		}
		loss := float32(2 * math.Exp(-1))
		same(t, events[2].scalars, map[string]float32{
			"train/loss": loss, "lr": 0.1, "speed/images_per_second": 512, "speed/step_seconds": 0.25,
			"loss/module_01": float32(2*math.Exp(-1) + 0.1), "loss/module_02": loss,
			"sgr_loss/module_02": 0.5, "sgr_cos/module_02": float32(1 - math.Exp(-1)/2), // none for module 1: NaN
			"busy_seconds/module_01": 0.125, "busy_seconds/module_02": 0.125,
			"wait_seconds/module_01": 0.0625, "wait_seconds/module_02": 0.0625,
		})
		acc := 90 * (1 - math.Exp(-1))
		same(t, events[3].scalars, map[string]float32{
			"train/epoch_loss": 1, "test/accuracy": float32(acc), "test/top5": float32(acc + 5),
			"speed/epoch_images_per_second": 512, "speed/epoch_seconds": 2.5,
			"memory/peak_bytes": 300 << 20, "memory/resting_bytes": 100 << 20,
			"accuracy/module_01": float32(acc - 1), "accuracy/module_02": float32(acc),
			"top5/module_01": float32(acc + 5), "top5/module_02": float32(acc + 5),
			"epoch_busy_seconds/module_01": 0.125, "epoch_busy_seconds/module_02": 0.125,
			"epoch_wait_seconds/module_01": 0.0625, "epoch_wait_seconds/module_02": 0.0625,
		})
	})
}

// TensorFlow's own files start with these bytes: the length 24 of the version event, and its masked checksum.
func TestTFRecordHeader(t *testing.T) {
	want := []byte("\x18\x00\x00\x00\x00\x00\x00\x00\xa3\x7fK\x22")
	if got := frame(make([]byte, 24)); !bytes.HasPrefix(got, want) {
		t.Errorf("header is % x, want % x", got[:12], want)
	}
}

func TestTensorBoardNewFileEachTime(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		tb, err := OpenTensorBoard(dir)
		if err != nil {
			t.Fatal(err)
		}
		feed(t, tb, Start{}, nil, nil)
	}
	files, _ := os.ReadDir(dir)
	if len(files) != 3 {
		t.Errorf("%d files, want 3", len(files))
	}
}
