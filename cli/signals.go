package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// saveKey finds in a command's context the channel by which a signal asks for a checkpoint.
type saveKey struct{}

// attend returns a context that ends with the first Ctrl-C, SIGTERM or loss of the terminal, after which a run saves and
// ends. The second ends the process at once. SIGUSR1 and SIGUSR2, which batch systems send before a job's time is up, ask
// for a checkpoint, after which the run goes on. What the process was started with ignored, as by nohup, stays ignored.
func attend() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	ends, saves := make(chan os.Signal, 2), make(chan os.Signal, 1)
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signal.Notify(ends, s)
		}
	}
	signal.Notify(saves, syscall.SIGUSR1, syscall.SIGUSR2)
	save := make(chan struct{}, 1)
	go func() {
		for {
			select {
			case <-ends:
				if ctx.Err() != nil {
					os.Exit(130)
				}
				cancel()
			case <-saves:
				select {
				case save <- struct{}{}:
				default: // it is asked for already
				}
			}
		}
	}()
	return context.WithValue(ctx, saveKey{}, (<-chan struct{})(save))
}

// saveAsked is the channel of attend, nil where a command runs without it.
func saveAsked(ctx context.Context) <-chan struct{} {
	save, _ := ctx.Value(saveKey{}).(<-chan struct{})
	return save
}

// outliveReaders lets a run go on when nobody reads what it prints any more, as in `locus train 2>&1 | head`: its results
// are in the run folder.
func outliveReaders() { signal.Ignore(syscall.SIGPIPE) }
