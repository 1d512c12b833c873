// Package cli is the command line of Locus. A program of one's own that registers methods, networks, heads, optimizers or
// data sets and then calls [Main] has the whole command with them.
//
// Results go to standard output, progress and warnings to standard error. The exit code is 0, 2 after a mistake that the
// user can mend, 130 after an interruption, and 1 after anything else.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/internal/show"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/train"
)

// Main runs the command with the arguments behind its name and returns the exit code.
func Main(args []string) int {
	if typed := os.Args[0]; filepath.Base(typed) == self {
		self = shellWord(typed)
	}
	favour()
	return run(attend(), args, os.Stdout, os.Stderr)
}

// self is what a user types to start this one, such as bin/locus.
var self = "locus"

var (
	errReported    = fault.New("reported")     // ends a command whose mistakes have been printed already
	errInterrupted = errors.New("interrupted") // of a command that leaves nothing to go on with
)

// run executes one command line and returns the exit code. It is the one border that errors and panics cross.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (code int) {
	defer func() {
		if p := recover(); p != nil {
			code = report(stderr, panicked(p, stderr))
		}
	}()
	root := newRoot(stdout, stderr)
	root.SetArgs(append([]string{}, args...)) // cobra takes nil for os.Args
	return report(stderr, root.ExecuteContext(ctx))
}

// panicked turns a panic into an error; the stack goes to w for those who ask for it.
func panicked(p any, w io.Writer) error {
	if e, ok := p.(*torch.Error); ok {
		return e
	}
	if os.Getenv("LOCUS_DEBUG") == "1" {
		w.Write(debug.Stack())
	}
	return internal(fmt.Sprint(p))
}

// internal words an error that no user can mend.
func internal(text string) error {
	return fmt.Errorf("internal error: %s; please report it with what LOCUS_DEBUG=1 prints", text)
}

// report prints an error on one line and returns the exit code that it stands for.
func report(w io.Writer, err error) int {
	err = explain(err)
	if err == nil || errors.Is(err, syscall.EPIPE) { // what nobody reads any more
		return 0
	}
	if code, others := errors.AsType[exited](err); others {
		return int(code)
	}
	if !errors.Is(err, errReported) {
		fmt.Fprintln(w, "locus:", show.Line(strings.Join(strings.Fields(err.Error()), " ")))
	}
	return exitCode(err)
}

// exitCode is what an error stands for.
func exitCode(err error) int {
	err = explain(err)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errInterrupted), errors.Is(err, train.ErrInterrupted):
		return 130
	case fault.Is(err):
		return 2
	}
	return 1
}

// explain puts into a user's words what comes from below.
func explain(err error) error {
	if errors.Is(err, context.Canceled) {
		return errInterrupted
	}
	e, ok := errors.AsType[*torch.Error](err)
	switch {
	case !ok, fault.Is(err):
		return err
	case e.Kind == torch.OutOfMemory:
		return train.OutOfMemory(e)
	}
	return internal(err.Error())
}
