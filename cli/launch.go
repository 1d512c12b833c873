package cli

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/mesh"
)

// exited is the exit code of a command that others have printed the error of.
type exited int

func (e exited) Error() string { return "exit code " + strconv.Itoa(int(e)) }

// mostProcesses bounds --nproc.
const mostProcesses = 1024

// lingering is how long processes may take to end when one of them has failed.
const lingering = 5 * time.Second

// launch starts n processes of this program with the same arguments, which train together on this machine, and returns when all
// have ended: nil, or the exit code of the first one that failed. Their lines get the rank in front. They meet by a socket in
// a folder that only the user can open.
func launch(n int, args []string, threads int, stdout, stderr io.Writer) error {
	if n < 1 || n > mostProcesses {
		return fault.New("--nproc is %d: must be from 1 to %d", n, mostProcesses)
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "locus-")
	if err != nil {
		return fault.New("no folder for the processes to meet in: %w", err)
	}
	defer os.RemoveAll(dir)
	secret := make([]byte, 16)
	rand.Read(secret)
	runtime.LockOSThread() // the processes are told to end when this thread does
	defer runtime.UnlockOSThread()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)
	all := processes{ended: make(chan int, n)}
	for rank := range n {
		cmd := exec.Command(program, args...)
		cmd.Env = append(os.Environ(), mesh.EnvWorld+"="+strconv.Itoa(n), mesh.EnvLocalWorld+"="+strconv.Itoa(n),
			mesh.EnvRank+"="+strconv.Itoa(rank), mesh.EnvLocalRank+"="+strconv.Itoa(rank),
			mesh.EnvPath+"="+filepath.Join(dir, "s"), mesh.EnvSecret+"="+hex.EncodeToString(secret))
		if threads == 0 {
			cmd.Env = append(cmd.Env, "OMP_NUM_THREADS="+strconv.Itoa(max(1, runtime.GOMAXPROCS(0)/n)))
		}
		// A group of its own: signals come by way of this process, once.
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
		if err := all.start(cmd, rank, stdout, stderr); err != nil {
			all.tell(syscall.SIGKILL)
			return err
		}
	}
	return all.wait(signals)
}

// processes are those that were started.
type processes struct {
	running  []*exec.Cmd
	ended    chan int // exit codes
	printing sync.Mutex
}

// start starts a process whose lines are copied.
func (p *processes) start(cmd *exec.Cmd, rank int, stdout, stderr io.Writer) error {
	var streams sync.WaitGroup
	for _, stream := range []struct {
		to   io.Writer
		pipe func() (io.ReadCloser, error)
	}{{stdout, cmd.StdoutPipe}, {stderr, cmd.StderrPipe}} {
		from, err := stream.pipe()
		if err != nil {
			return err
		}
		streams.Go(func() { p.copy(stream.to, from, rank) })
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	p.running = append(p.running, cmd)
	go func() {
		streams.Wait()
		cmd.Wait()
		p.ended <- cmd.ProcessState.ExitCode()
	}()
	return nil
}

// tell sends all processes a signal; those that have ended do not mind.
func (p *processes) tell(s os.Signal) {
	for _, cmd := range p.running {
		cmd.Process.Signal(s)
	}
}

// wait passes signals on and returns the exit code of the first process that failed. Then the others have a moment to say so.
func (p *processes) wait(signals <-chan os.Signal) error {
	var first error
	var late <-chan time.Time
	for left := len(p.running); left > 0; {
		select {
		case s := <-signals:
			p.tell(s)
		case code := <-p.ended:
			left--
			if code != 0 && first == nil {
				first, late = exited(max(code, 1)), time.After(lingering) // -1: by a signal
			}
		case <-late:
			p.tell(syscall.SIGKILL)
		}
	}
	return first
}

// copy copies the lines of a process, whole ones, with the rank in front.
func (p *processes) copy(to io.Writer, from io.Reader, rank int) {
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			p.printing.Lock()
			fmt.Fprintf(to, "[%d] %s\n", rank, strings.TrimSuffix(line, "\n"))
			p.printing.Unlock()
		}
		if err != nil {
			return
		}
	}
}
