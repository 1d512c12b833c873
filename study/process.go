package study

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
)

// slot is a place where one run at a time is trained.
type slot struct {
	threads int
	device  string   // "cpu", "cuda" or "" for the recipe's
	env     []string // on top of this process's
}

// slots shares out the threads of the machine, and devices in turn. A card is made the only one that its process sees, so
// that a run may go on on another card.
func slots(jobs, threads int, devices []string) []slot {
	var all []slot
	visible := strings.Split(os.Getenv("CUDA_VISIBLE_DEVICES"), ",")
	for i := range jobs {
		s := slot{threads: max(1, threads/jobs)}
		if len(devices) > 0 {
			s.device = devices[i%len(devices)]
		}
		if at, ok := strings.CutPrefix(s.device, "cuda:"); ok {
			s.device = "cuda"
			if n, err := strconv.Atoi(at); err == nil && n < len(visible) && visible[0] != "" {
				at = visible[n]
			}
			s.env = []string{"CUDA_VISIBLE_DEVICES=" + at}
		}
		all = append(all, s)
	}
	return all
}

// exit is how a run's process ended that did not come to the run's end.
type exit struct {
	code int
	said string // its last line of complaint
}

func (e *exit) Error() string { return e.said }

// diskFull is what the system calls a disk without room.
var diskFull = []string{syscall.ENOSPC.Error(), syscall.EDQUOT.Error()}

// full reports whether the process ended for want of room, which is no result of its arm's.
func (e *exit) full() bool {
	for _, text := range diskFull {
		if strings.Contains(e.said, text) {
			return true
		}
	}
	return false
}

// arguments of the command that trains a cell.
func (r *Runner) arguments(c Cell, s slot, resume bool) []string {
	args := []string{"train", "--out", c.Dir(r.Out)}
	if resume {
		args = append(args, "--resume", "--set", fmt.Sprint("threads=", s.threads))
	} else {
		args = append(args, c.Arm.Recipe)
		for _, set := range c.Arm.Sets {
			args = append(args, "--set", set)
		}
		args = append(args, "--set", "name="+c.Arm.Name, "--set", fmt.Sprint("seed=", c.Seed), "--set", fmt.Sprint("threads=", s.threads))
		if s.device != "" {
			args = append(args, "--device", s.device)
		}
	}
	if r.Data != "" {
		args = append(args, "--data", r.Data)
	}
	return args
}

// train runs a cell in a process of its own and waits for it. When ctx ends, the process is asked to save and end, and the
// error is ctx's. It ends, too, when this process is killed.
func (r *Runner) train(ctx context.Context, c Cell, s slot, resume bool) error {
	if err := disk.MkdirAll(filepath.Dir(c.Dir(r.Out))); err != nil {
		return fault.New("the folder of %s cannot be made: %w", c.Name(), err)
	}
	log, err := os.OpenFile(c.Dir(r.Out)+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fault.New("the log of %s cannot be opened: %w", c.Name(), err)
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, r.Program[0], append(r.Program[1:len(r.Program):len(r.Program)], r.arguments(c, s, resume)...)...)
	cmd.Env = append(os.Environ(), s.env...)
	last := &lastLines{}
	cmd.Stdout, cmd.Stderr = log, &tee{log, last}
	// It ends by SIGTERM, as what shells run in the background ignores an interrupt, and has time for its last checkpoint.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Minute
	cmd.SysProcAttr = attributes()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err = cmd.Start(); err == nil {
		r.note(cmd.Process, true)
		err = cmd.Wait()
		r.note(cmd.Process, false)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		return &exit{ended.ExitCode(), last.complaint(ended.String())}
	}
	return err
}

// note keeps the processes that train, and when they began.
func (r *Runner) note(p *os.Process, runs bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.processes == nil {
		r.processes = map[*os.Process]time.Time{}
	}
	if r.processes[p] = time.Now(); !runs {
		delete(r.processes, p)
	}
}

// young is how long a process may not know yet what SIGUSR1 asks for, and would be ended by it.
const young = time.Second

// passOn asks the runs under way for a checkpoint whenever somebody asks the runner, until ctx ends.
func (r *Runner) passOn(ctx context.Context) {
	for {
		select {
		case <-r.Save:
			r.mu.Lock()
			for p, began := range r.processes {
				if time.Since(began) > young {
					_ = p.Signal(syscall.SIGUSR1) // it may have ended
				}
			}
			r.mu.Unlock()
		case <-ctx.Done():
			return
		}
	}
}

// tee hands what is written to a log that may fail, as on a full disk, and to a memory of its end.
type tee struct {
	log  *os.File
	last *lastLines
}

func (t *tee) Write(b []byte) (int, error) {
	t.log.Write(b)
	return t.last.Write(b)
}

// lastLines keeps the end of what is written to it.
type lastLines struct{ text []byte }

func (l *lastLines) Write(b []byte) (int, error) {
	l.text = append(l.text, b...)
	if extra := len(l.text) - 8192; extra > 0 {
		l.text = bytes.Clone(l.text[extra:])
	}
	return len(b), nil
}

// complaint is the last line that the program complained in; or what else is known.
func (l *lastLines) complaint(otherwise string) string {
	lines := strings.Split(strings.ReplaceAll(string(l.text), "\r", "\n"), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if said, ok := strings.CutPrefix(lines[i], "locus: "); ok {
			return said
		}
	}
	return otherwise
}
