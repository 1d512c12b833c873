package mesh

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/torch"
	"github.com/locus-learn/locus/torch/dist"
)

// World is all processes of a run, as one of them sees it.
type World struct {
	Place
	Shape
	Options Options
	hosts   []string   // by rank
	all     dist.Group // everybody
	column  dist.Group // those that have the same modules
	watch   *watch
	address string // of this process, as others reach it
	begun   bool   // the ranks have exchanged what they had to say
}

// copy and run say where in the layout this process is: which part of a batch, and which run of modules.
func (w *World) copy() int { return w.Rank / w.Modules }
func (w *World) run() int  { return w.Rank % w.Modules }

// last reports whether this process has the last run of modules.
func (w *World) last() bool { return w.run() == w.Modules-1 }

// FeedsItself reports whether this process reads data of its own: the first one of each copy.
func (w *World) FeedsItself() bool { return w.run() == 0 }

// Part is which part of every batch this process reads, of how many.
func (w *World) Part() (part, parts int) { return w.copy(), w.Data }

// Traffic counts what this process has sent and received for the training, without signs of life.
func (w *World) Traffic() dist.Traffic {
	t := w.all.Traffic()
	t.Summed += w.column.Traffic().Summed
	t.Sent -= w.watch.sent.Load()
	t.Received -= w.watch.received.Load()
	return t
}

// Join waits until all processes have come. The caller closes the world. Trouble is a fault of one line.
func Join(p Place, o Options, device torch.Device) (*World, error) {
	shape, err := o.Shape(p.World)
	if err != nil {
		return nil, err
	}
	w := &World{Place: p, Shape: shape, Options: o}
	if !dist.HasGloo() {
		return nil, fault.New("%d processes cannot talk: this locus was built without Gloo; apt-get install libgloo-dev beside the distribution's libtorch-dev, and build again", p.World)
	}
	network, address, own, err := p.meeting(o)
	if err != nil {
		return nil, err
	}
	w.address = own
	store, err := dist.Meet(p.Rank, network, address, p.Secret, max(o.patience(), p.Patience))
	if errors.Is(err, syscall.EADDRINUSE) {
		err = cmp.Or(w.second(network, address), err)
	}
	if fault.Is(err) {
		return nil, err
	}
	if err != nil {
		return nil, fault.New("rank 0 cannot listen at %s, where the others come: %w; mesh.port names another port, mesh.interface another interface", address, err)
	}
	defer store.Close()
	if err := w.meet(store, own, device); err != nil {
		if refused := store.Refused(); refused != nil { // of which the engine only says that ranks could not meet
			err = refused
		}
		if fault.Is(err) {
			time.Sleep(grace) // the others see the same, as long as somebody answers them
			return nil, err
		}
		return nil, fault.New("rank %d of %d did not meet the others at %s: %w; all ranks must be started, with the same launcher, and reach that address", p.Rank, p.World, address, err)
	}
	w.watch = newWatch(w)
	return w, nil
}

// meet makes the groups and learns the names of the others' machines.
func (w *World) meet(store *dist.Meeting, address string, device torch.Device) (err error) {
	if err := w.introduce(store); err != nil {
		return err
	}
	if err := w.agree(store, device); err != nil {
		return err
	}
	place := dist.Place{
		Address: address, Meeting: max(w.Options.patience(), w.Patience), Device: device, Engine: w.Options.engine(device),
	}
	place.Rank, place.Size, place.Store = w.Rank, w.World, dist.Under(store, "all")
	if w.all, err = dist.Join(place); err != nil {
		return err
	}
	w.column = dist.Alone{}
	if w.Data > 1 {
		place.Rank, place.Size, place.Store = w.copy(), w.Data, dist.Under(store, "column"+strconv.Itoa(w.run()))
		if w.column, err = dist.Join(place); err != nil {
			return err
		}
	}
	return w.barrier() // before rank 0 stops listening
}

// card is what a rank leaves for the others.
type card struct {
	Host    string
	Process int
	World   int // how many processes it was told that there are
}

func (w *World) card() card {
	host, _ := os.Hostname()
	return card{host, os.Getpid(), w.World}
}

// claim makes the rank this process's own. Where another process has it, the meeting ends, for all ranks, with a fault that names
// both.
func (w *World) claim(store *dist.Meeting) error {
	own := w.card()
	text, err := json.Marshal(own)
	if err != nil {
		return err
	}
	holder, err := store.Claim("card/"+strconv.Itoa(w.Rank), text)
	if err != nil || len(holder) == 0 || bytes.Equal(holder, text) { // asked twice, where an answer was lost
		return err
	}
	var other card
	if err := json.Unmarshal(holder, &other); err != nil {
		return fmt.Errorf("rank %d runs another locus: %w", w.Rank, err)
	}
	twice := fault.New("process %d on %s and process %d on %s were both started as rank %d of %d: each must have a rank of its own, from 0 to %d",
		other.Process, other.Host, own.Process, own.Host, w.Rank, w.World, w.World-1)
	store.Refuse(twice.Error())
	return twice
}

// second returns a fault where rank 0 cannot listen since another rank 0 of the run does.
func (w *World) second(network, address string) error {
	first := dist.Visit(network, address, w.Secret, moment)
	defer first.Close()
	err := w.claim(first)
	if err == nil { // before the other has
		_, err = first.Get("card/0/second")
	}
	if fault.Is(err) {
		return err
	}
	return nil
}

// introduce lets all ranks know each other. It returns a fault where they were not told the same number of processes.
func (w *World) introduce(store *dist.Meeting) error {
	if err := w.claim(store); err != nil {
		return err
	}
	own := w.card()
	for rank := range w.World {
		text, err := store.Get("card/" + strconv.Itoa(rank))
		if err != nil {
			return fmt.Errorf("rank %d has not come: %w", rank, err)
		}
		var other card
		if err := json.Unmarshal(text, &other); err != nil {
			return fmt.Errorf("rank %d runs another locus: %w", rank, err)
		}
		w.hosts = append(w.hosts, other.Host)
		if other.World != w.World {
			return fault.New("rank %d on %s was started as one of %d processes, and rank %d on %s as one of %d: all must be told the same number ('--nproc N', or the launcher's WORLD_SIZE)",
				w.Rank, own.Host, w.World, rank, other.Host, other.World)
		}
	}
	return nil
}

// agree lets all ranks have rank 0's layout: it alone may know the recipe, where a run goes on.
func (w *World) agree(store dist.Store, device torch.Device) error {
	if w.Rank == 0 {
		w.Options.Engine = string(w.Options.engine(device)) // for all, whatever device each has
		text, err := json.Marshal(w.Options)
		if err != nil {
			return err
		}
		return store.Set("options", text)
	}
	text, err := store.Get("options")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &w.Options); err != nil {
		return err
	}
	w.Shape, err = w.Options.Shape(w.World)
	return err
}

// barrier waits until everybody has come to it.
func (w *World) barrier() error {
	s := torch.NewScopeOn(torch.CPU, torch.NoGrad)
	defer s.Close()
	return w.all.Sum(s.Full(torch.Float32, 1, 1)).Wait()
}

// Twins are worlds whose processes are goroutines, for tests.
func Twins(shape Shape, o Options) []*World {
	n := shape.Data * shape.Modules
	var worlds []*World
	columns := make([][]dist.Group, shape.Modules)
	for m := range columns {
		columns[m] = dist.Twins(shape.Data)
	}
	for rank, g := range dist.Twins(n) {
		w := &World{Place: Place{Rank: rank, World: n}, Shape: shape, Options: o, all: g}
		w.column = columns[w.run()][w.copy()]
		for range n {
			w.hosts = append(w.hosts, "twin")
		}
		w.watch = newWatch(w)
		worlds = append(worlds, w)
	}
	return worlds
}

// name is how messages call a rank.
func (w *World) name(rank int) string { return fmt.Sprintf("rank %d on %s", rank, w.hosts[rank]) }

// explain returns the reason why the group has failed or closed where one is found soon, instead of what the engine says of a
// socket. An error that seems this rank's own may follow from the end of the run, too, of which it hears a moment later.
func (w *World) explain(err error) error {
	if err == nil {
		return nil
	}
	wait := moment
	if engine, ok := errors.AsType[*torch.Error](err); ok && slices.Contains([]string{"sum", "send", "receive", "broadcast"}, engine.Op) {
		wait = lookAhead
	}
	select {
	case <-w.watch.over:
		return cmp.Or(w.watch.final.error(), err)
	case <-w.watch.failed:
		return w.watch.cause
	case <-time.After(wait):
		return err
	}
}

// OnStop has f called when another rank has been asked to stop.
func (w *World) OnStop(f func()) { w.watch.onStop(f) }

// Stop asks rank 0 to end the run after a step and to save.
func (w *World) Stop() { w.watch.stop() }

// OnFail has f called a while after the world has failed, when the process has not ended by itself: a call of the engine may
// hang.
func (w *World) OnFail(f func(cause error)) { w.watch.onFail(f) }

// Close ends the world with what became of the run, which rank 0 tells the others: nil, a fault or another error, with the
// exit code for it.
func (w *World) Close(cause error, code int) {
	w.watch.end(cause, code)
	if cause == nil {
		cause = dist.ErrClosed
	}
	w.all.Close(cause)
	w.column.Close(cause)
}

// Ending returns how rank 0 has ended the run.
func (w *World) Ending() (code int, err error) { return w.watch.ending() }

// Loopback reports whether all traffic stays on this machine.
func (w *World) Loopback() bool { return net.ParseIP(w.address).IsLoopback() }

// Warning is a line about who can read and change the training; "" where nobody else can.
func (w *World) Warning() string {
	if w.Loopback() || w.World == 1 {
		return ""
	}
	return "the processes talk over the network without encryption: whoever reaches it can read and change this training; mesh.interface chooses a private one"
}

// address returns the first address of a network interface.
func address(name string) (string, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		var names []string
		all, _ := net.Interfaces()
		for _, other := range all {
			names = append(names, other.Name)
		}
		return "", fault.New("mesh.interface is %q: this machine has no such network interface: must be one of %v", name, names)
	}
	list, err := i.Addrs()
	if err != nil {
		return "", err
	}
	for _, a := range list {
		if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLinkLocalUnicast() {
			return ip.IP.String(), nil
		}
	}
	return "", fault.New("mesh.interface is %q: it has no address", name)
}

// towards returns the address of this machine from which another one is reached.
func towards(host string) (string, error) {
	c, err := net.DialTimeout("udp", net.JoinHostPort(host, "9"), 5*time.Second) // sends nothing
	if err != nil {
		return "", fault.New("the first process is said to run on %q, which cannot be reached from here: %w", host, err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).IP.String(), nil
}

// Abandon closes the connections without a word, as a process that is killed does. It is for tests.
func (w *World) Abandon() {
	w.watch.mutex.Lock()
	w.watch.final.Over = true // say and hear nothing more
	w.watch.mutex.Unlock()
	w.all.Close(nil)
	w.column.Close(nil)
}
