package record

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
)

// JSONL is the sink of metrics.jsonl: one JSON object a line, whose key "event" is "step", "epoch" or "diagnosis". NaN and the infinities are
// written as null.
type JSONL struct {
	file         appender
	last, broken int // of what was there when it was opened
}

// OpenJSONL opens the record at path. A negative resumeStep starts it afresh and replaces what was there. Any other continues
// it from a checkpoint taken after resumeStep steps: lines of later steps, which the resumed run will write again, are dropped,
// and so are lines that a crash has torn. Write an epoch's line before its checkpoint, or a crash between them loses the line.
func OpenJSONL(path string, resumeStep int) (*JSONL, error) {
	var kept []byte
	var last, broken int
	if resumeStep >= 0 {
		var err error
		if kept, last, broken, err = linesUpTo(path, resumeStep); err != nil {
			cause, _ := disk.Cause(err)
			return nil, fault.New("%s cannot be read: %w", path, cause)
		}
	}
	if err := replaceFile(path, kept); err != nil {
		return nil, err
	}
	f, err := disk.Append(path, false)
	if err != nil {
		return nil, fault.New("cannot write %s: %w", path, err)
	}
	return &JSONL{file: appender{path: path, f: f}, last: last, broken: broken}, nil
}

func linesUpTo(path string, step int) (kept []byte, last, broken int, err error) {
	f, err := disk.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, 0, nil // the metrics were deleted or never written; the checkpoint alone is enough to go on
	}
	if err != nil {
		return nil, 0, 0, err
	}
	defer f.Close()
	broken, err = scan(f, func(line []byte, e event) {
		if e.at() > step {
			return
		}
		kept = append(append(kept, line...), '\n')
		if epoch, ok := e.(*Epoch); ok {
			last = epoch.Step
		}
	})
	return kept, last, broken, err
}

// LastEpoch returns the step of the last epoch's line that the record had when it was opened, 0 without one.
func (j *JSONL) LastEpoch() int { return j.last }

// Broken returns how many lines could not be read when the record was opened, and were dropped.
func (j *JSONL) Broken() int { return j.broken }

// Start writes nothing: the recipe and env.json already tell what the run is.
func (j *JSONL) Start(Start) error { return nil }

// Step appends one line.
func (j *JSONL) Step(s Step) error { return j.write("step", s) }

// Epoch appends one line.
func (j *JSONL) Epoch(e Epoch) error { return j.write("epoch", e) }

// Diagnosis appends one line.
func (j *JSONL) Diagnosis(d Diagnosis) error { return j.write("diagnosis", d) }

// Sync makes the lines so far outlast a loss of power.
func (j *JSONL) Sync() error { return j.file.sync() }

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
	Broken    int // lines that could not be read
}

// ReadJSONL reads a metrics.jsonl; null numbers are read as NaN. Lines that cannot be read, as a killed run or a loss of
// power leaves them, are counted and passed over; a last one without its newline is not counted.
func ReadJSONL(r io.Reader) (log Log, err error) {
	log.Broken, err = scan(r, func(_ []byte, e event) {
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

// scan calls each for every line of r, its newline cut off, and counts those that cannot be read.
func scan(r io.Reader, each func(line []byte, e event)) (broken int, err error) {
	in := bufio.NewReader(r)
	for {
		line, end := in.ReadBytes('\n')
		if end != nil && end != io.EOF {
			return broken, end
		}
		if end == io.EOF && len(line) == 0 {
			return broken, nil
		}
		line = bytes.TrimSuffix(line, []byte("\n"))
		e, err := parseEvent(line)
		switch {
		case err == nil:
			each(line, e)
		case end == nil:
			broken++
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

// appender adds whole records to a file, unbuffered so that a killed run loses at most the record being written. What cannot
// be written, because the disk is full, is kept and written in front of the next record.
type appender struct {
	path    string
	f       disk.File
	pending []byte
}

func (a *appender) append(b []byte) error {
	a.pending = append(a.pending, b...)
	return a.flush()
}

func (a *appender) flush() error {
	n, err := a.f.Write(a.pending)
	a.pending = a.pending[n:]
	if err == nil {
		return nil
	}
	cause, _ := disk.Cause(err)
	return fault.New("%s cannot be written: %w", a.path, cause)
}

func (a *appender) sync() error {
	if err := a.flush(); err != nil {
		return err
	}
	return a.f.Sync()
}

func (a *appender) close() error { return cmp.Or(a.sync(), a.f.Close()) }
