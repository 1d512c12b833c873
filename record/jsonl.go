package record

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/locus-learn/locus/internal/fault"
)

// JSONL is the sink of metrics.jsonl: one JSON object a line, whose key "event" is "step", "epoch" or "diagnosis". NaN and the infinities are
// written as null.
type JSONL struct{ file appender }

// OpenJSONL opens the record at path. A negative resumeStep starts it afresh and replaces what was there. Any other continues
// it from a checkpoint taken after resumeStep steps: lines of later steps, which the resumed run will write again, are dropped,
// and so is a last line torn by a crash. Write an epoch's line before its checkpoint, or a crash between them loses the line.
func OpenJSONL(path string, resumeStep int) (*JSONL, error) {
	var kept []byte
	if resumeStep >= 0 {
		var err error
		if kept, err = linesUpTo(path, resumeStep); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	if err := replaceFile(path, kept); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return nil, fault.New("cannot write %s: %w", path, err)
	}
	return &JSONL{appender{f: f}}, nil
}

func linesUpTo(path string, step int) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // the metrics were deleted or never written; the checkpoint alone is enough to go on
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var kept bytes.Buffer
	err = scan(f, func(line []byte, e event) {
		if e.at() <= step {
			kept.Write(line)
			kept.WriteByte('\n')
		}
	})
	return kept.Bytes(), err
}

// Start writes nothing: the recipe and env.json already tell what the run is.
func (j *JSONL) Start(Start) error { return nil }

// Step appends one line.
func (j *JSONL) Step(s Step) error { return j.write("step", s) }

// Epoch appends one line.
func (j *JSONL) Epoch(e Epoch) error { return j.write("epoch", e) }

// Diagnosis appends one line.
func (j *JSONL) Diagnosis(d Diagnosis) error { return j.write("diagnosis", d) }

// Close flushes the lines to the disk and closes the file.
func (j *JSONL) Close() error { return j.file.close() }

func (j *JSONL) write(event string, v any) error {
	line, err := encode(event, v)
	if err != nil {
		return err
	}
	return j.file.append(append(line, '\n'))
}

// Log is the content of a metrics.jsonl, each kind of event in the order of its lines.
type Log struct {
	Steps     []Step
	Epochs    []Epoch
	Diagnoses []Diagnosis
}

// ReadJSONL reads a metrics.jsonl; null numbers are read as NaN. A last line without its newline is dropped if it is broken,
// as a killed run leaves it; any other broken line is a fault that names its number.
func ReadJSONL(r io.Reader) (Log, error) {
	var log Log
	err := scan(r, func(_ []byte, e event) {
		switch e := e.(type) {
		case *Step:
			log.Steps = append(log.Steps, *e)
		case *Epoch:
			log.Epochs = append(log.Epochs, *e)
		case *Diagnosis:
			log.Diagnoses = append(log.Diagnoses, *e)
		}
	})
	return log, err
}

// event is a *Step, an *Epoch or a *Diagnosis.
type event interface{ at() int }

func (s *Step) at() int      { return s.Step }
func (e *Epoch) at() int     { return e.Step }
func (d *Diagnosis) at() int { return d.Step }

// scan calls each for every line of r, its newline cut off.
func scan(r io.Reader, each func(line []byte, e event)) error {
	in := bufio.NewReader(r)
	for number := 1; ; number++ {
		line, end := in.ReadBytes('\n')
		if end != nil && end != io.EOF {
			return end
		}
		if end == io.EOF && len(line) == 0 {
			return nil
		}
		line = bytes.TrimSuffix(line, []byte("\n"))
		e, err := parseEvent(line)
		switch {
		case err == nil:
			each(line, e)
		case end == nil:
			return fault.New("metrics line %d is broken: %w", number, err)
		}
	}
}

func parseEvent(line []byte) (event, error) {
	var head struct {
		Event string `json:"event"`
	}
	if err := decode(line, &head); err != nil {
		return nil, err
	}
	var e event
	switch head.Event {
	case "step":
		e = new(Step)
	case "epoch":
		e = new(Epoch)
	case "diagnosis":
		e = new(Diagnosis)
	default:
		return nil, fmt.Errorf(`event is %q: must be "step", "epoch" or "diagnosis"`, head.Event)
	}
	return e, decode(line, e)
}

// appender adds whole records to a file, unbuffered so that a killed run loses at most the record being written. Once a write
// has failed it takes no more: nothing may follow a torn record.
type appender struct {
	f   *os.File
	err error
}

func (a *appender) append(b []byte) error {
	if a.err == nil {
		_, a.err = a.f.Write(b)
	}
	return a.err
}

func (a *appender) close() error { return cmp.Or(a.err, a.f.Sync(), a.f.Close()) }
