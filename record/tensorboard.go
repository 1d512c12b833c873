package record

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
)

// TensorBoard is the sink of an event file that TensorBoard shows. Tags are by quantity, so that all modules share a row of
// charts: "accuracy/module_02" is the second one's. What Epoch and Step both measure has "epoch_" in the tag of the epoch.
type TensorBoard struct{ file appender }

// Name returns the name of the event file in its folder.
func (t *TensorBoard) Name() string { return filepath.Base(t.file.path) }

// OpenTensorBoard starts a new event file events.out.tfevents.<unix seconds>.<host> in dir, which must exist. A resumed run
// adds a file; TensorBoard joins them and drops the points that the earlier run wrote after the checkpoint.
func OpenTensorBoard(dir string) (*TensorBoard, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	for seconds := time.Now().Unix(); ; seconds++ {
		path := filepath.Join(dir, fmt.Sprintf("events.out.tfevents.%010d.%s", seconds, host))
		f, err := disk.Append(path, true)
		switch {
		case err == nil:
			t := &TensorBoard{appender{path: path, f: f}}
			if err := t.event(0, fieldFileVersion, []byte("brain.Event:2")); err != nil {
				return nil, cmp.Or(err, t.Close())
			}
			return t, nil
		case !errors.Is(err, fs.ErrExist): // taken by a run of the same second: try the next
			return nil, fault.New("cannot write TensorBoard events: %w", err)
		}
	}
}

// Field numbers of TensorFlow's event.proto and summary.proto, and SessionLog's START.
const (
	fieldWallTime    = 1
	fieldStep        = 2
	fieldFileVersion = 3
	fieldSummary     = 5
	fieldSessionLog  = 7

	fieldStatus = 1
	statusStart = 1

	fieldValue       = 1
	fieldTag         = 1
	fieldSimpleValue = 2
)

// Start tells TensorBoard how to lay out charts of several modules and, if the run is resumed, to forget the points after the
// checkpoint.
func (t *TensorBoard) Start(s Start) error {
	if err := t.event(0, fieldSummary, layoutSummary(layout)); err != nil || s.First == 0 {
		return err
	}
	log := protowire.AppendTag(nil, fieldStatus, protowire.VarintType)
	return t.event(s.First+1, fieldSessionLog, protowire.AppendVarint(log, statusStart))
}

// Step writes the step's scalars.
func (t *TensorBoard) Step(s Step) error {
	var v scalars
	v.add("train/loss", s.Loss)
	v.add("lr", s.LR)
	v.add("speed/images_per_second", s.ImagesPerSecond)
	v.add("speed/step_seconds", s.Seconds)
	v.addModules("loss", s.ModuleLoss)
	v.addModules("sgr_loss", s.SGRLoss)
	v.addModules("sgr_cos", s.SGRCos)
	v.addModules("busy_seconds", s.ModuleBusy)
	v.addModules("wait_seconds", s.ModuleWait)
	return t.event(s.Step, fieldSummary, v)
}

// Epoch writes the epoch's scalars.
func (t *TensorBoard) Epoch(e Epoch) error {
	var v scalars
	v.add("train/epoch_loss", e.TrainLoss)
	v.add("test/accuracy", e.TestAcc)
	v.add("test/top5", e.TestTop5)
	for _, o := range []struct {
		tag   string
		value *float64
	}{{"validation/accuracy", e.ValAcc}, {"test/loss", e.TestLoss}, {"train/accuracy", e.TrainAcc}} {
		if o.value != nil {
			v.add(o.tag, *o.value)
		}
	}
	v.add("speed/epoch_images_per_second", e.ImagesPerSecond)
	v.add("speed/epoch_seconds", e.Seconds)
	v.add("memory/peak_bytes", float64(e.PeakBytes))
	v.add("memory/resting_bytes", float64(e.RestingBytes))
	v.addModules("accuracy", e.ModuleAcc)
	v.addModules("top5", e.ModuleTop5)
	for _, name := range e.Scores.names() {
		if values := e.Scores[name]; len(values) > 0 {
			v.add("test/"+name, values[len(values)-1])
		}
		v.addModules(name, e.Scores[name])
	}
	v.addModules("ema_accuracy", e.EMAAcc)
	v.addModules("epoch_sgr_loss", e.SGRLoss)
	v.addModules("epoch_sgr_cos", e.SGRCos)
	v.addModules("epoch_busy_seconds", e.ModuleBusy)
	v.addModules("epoch_wait_seconds", e.ModuleWait)
	return t.event(e.Step, fieldSummary, v)
}

// Diagnosis writes its scalars.
func (t *TensorBoard) Diagnosis(d Diagnosis) error {
	var v scalars
	for _, q := range quantities {
		v.addModules("diagnosis/"+q.key, q.of(d))
	}
	return t.event(d.Step, fieldSummary, v)
}

// Sync makes the events so far outlast a loss of power.
func (t *TensorBoard) Sync() error { return t.file.sync() }

// Close flushes the events to the disk and closes the file.
func (t *TensorBoard) Close() error { return t.file.close() }

// event appends one Event message whose content is the bytes of the given field.
func (t *TensorBoard) event(step int, field protowire.Number, content []byte) error {
	wall := float64(time.Now().UnixNano()) / 1e9
	b := protowire.AppendTag(nil, fieldWallTime, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, math.Float64bits(wall))
	if step != 0 {
		b = protowire.AppendTag(b, fieldStep, protowire.VarintType)
		b = protowire.AppendVarint(b, uint64(step))
	}
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return t.file.append(frame(protowire.AppendBytes(b, content)))
}

// frame wraps a message as a TFRecord: length, checksum of the length, message, checksum of the message.
func frame(message []byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(message)))
	b = binary.LittleEndian.AppendUint32(b, maskedCRC(b))
	b = append(b, message...)
	return binary.LittleEndian.AppendUint32(b, maskedCRC(message))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maskedCRC is TFRecord's checksum: CRC-32C rotated and shifted, so that the checksum of data that holds checksums stays sound.
func maskedCRC(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

// scalars is a serialized Summary message.
type scalars []byte

func (s *scalars) add(tag string, x float64) {
	v := protowire.AppendTag(nil, fieldTag, protowire.BytesType)
	v = protowire.AppendString(v, tag)
	v = protowire.AppendTag(v, fieldSimpleValue, protowire.Fixed32Type)
	v = protowire.AppendFixed32(v, math.Float32bits(float32(x)))
	*s = protowire.AppendTag(*s, fieldValue, protowire.BytesType)
	*s = protowire.AppendBytes(*s, v)
}

// addModules adds one scalar a module, except where NaN says that there is none.
func (s *scalars) addModules(name string, values []float64) {
	for i, x := range values {
		if !math.IsNaN(x) {
			s.add(fmt.Sprintf("%s/module_%02d", name, i+1), x)
		}
	}
}
