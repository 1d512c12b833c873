// Command serveload measures a server of `locus serve`: it starts the program, lets 1, 8 and 64 clients ask at the same time,
// in turns, and ends the server while they do. It prints a row of results/serve.csv for each number of clients: answers a
// second, those over what one client gets in the same round, and the time that 95 of 100 answers stay below.
//
//	go run ./scripts/serveload -program bin/locus -run runs/mine -picture cat.jpg
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var (
	program  = flag.String("program", "bin/locus", "the `command` to measure")
	run      = flag.String("run", "", "run `folder` or checkpoint to serve")
	picture  = flag.String("picture", "", "`file` that clients send")
	rounds   = flag.Int("rounds", 5, "`n` rounds, taken in turns")
	interval = flag.Duration("interval", 3*time.Second, "`time` of one number of clients in a round")
	model    = flag.String("model", "", "`name` of the network, for the row")
	commit   = flag.String("commit", "", "`commit` that is measured, for the row")
	machine  = flag.String("machine", "", "`machine`, for the row")
)

var clients = []int{1, 8, 64}

func main() {
	flag.Parse()
	if err := measure(); err != nil {
		fmt.Fprintln(os.Stderr, "serveload:", err)
		os.Exit(1)
	}
}

func measure() error {
	file, err := os.ReadFile(*picture)
	if err != nil {
		return err
	}
	server, url, err := start()
	if err != nil {
		return err
	}
	defer server.Process.Kill()
	rates, slow := map[int][]float64{}, map[int][]float64{}
	ask(url, file, 1, time.Second) // to warm up
	for range *rounds {
		for _, n := range clients {
			times, lost := ask(url, file, n, *interval)
			if lost > 0 {
				return fmt.Errorf("%d of %d answers were lost with %d clients", lost, len(times), n)
			}
			rates[n] = append(rates[n], float64(len(times))/interval.Seconds())
			slices.Sort(times)
			slow[n] = append(slow[n], times[len(times)*95/100].Seconds()*1000)
		}
	}
	stopped, err := stop(server, url, file)
	if err != nil {
		return err
	}
	for _, n := range clients {
		var ratios []float64
		for i, r := range rates[n] {
			ratios = append(ratios, r/rates[1][i])
		}
		fmt.Printf("%s,%d,%.1f,%.2f,%.2f,%.2f,%.0f,go run ./scripts/serveload -run RUN -picture FILE,%s,\"%s\",%d,\n", *model, n, middle(rates[n]), middle(ratios),
			slices.Min(ratios), slices.Max(ratios), middle(slow[n]), *commit, *machine, *rounds)
	}
	fmt.Fprintf(os.Stderr, "SIGTERM with 64 clients: %d answers, none lost\n", stopped)
	return nil
}

func middle(v []float64) float64 { return slices.Sorted(slices.Values(v))[len(v)/2] }

var address = regexp.MustCompile(`http://[0-9.:]+`)

// start returns a server that listens on a port of its own.
func start() (server *exec.Cmd, url string, err error) {
	server = exec.Command(*program, "serve", *run, "--listen", "127.0.0.1:0")
	out, err := server.StderrPipe()
	if err != nil {
		return nil, "", err
	}
	if err := server.Start(); err != nil {
		return nil, "", err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if url = address.FindString(lines.Text()); url != "" {
			go io.Copy(os.Stderr, out)
			return server, url, nil
		}
		fmt.Fprintln(os.Stderr, lines.Text())
	}
	return nil, "", errors.New("the server has not started")
}

// ask lets n clients ask one question after the other for some time, and returns how long each took.
func ask(url string, file []byte, n int, long time.Duration) (times []time.Duration, lost int64) {
	var group sync.WaitGroup
	var mu sync.Mutex
	var failed atomic.Int64
	until := time.Now().Add(long)
	for range n {
		group.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for time.Now().Before(until) {
				began := time.Now()
				if err := question(client, url, file); err != nil {
					fmt.Fprintln(os.Stderr, err)
					failed.Add(1)
					return
				}
				mu.Lock()
				times = append(times, time.Since(began))
				mu.Unlock()
			}
		})
	}
	group.Wait()
	return times, failed.Load()
}

func question(client *http.Client, url string, file []byte) error {
	response, err := client.Post(url+"/predict", "application/octet-stream", bytes.NewReader(file))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("code %d: %s", response.StatusCode, strings.TrimSpace(string(text)))
	}
	return err
}

// stop sends SIGTERM while 64 clients ask, and returns how many answers they got. Anything but a closed door is an error.
func stop(server *exec.Cmd, url string, file []byte) (answers int64, err error) {
	var group sync.WaitGroup
	var got, lost atomic.Int64
	for range 64 {
		group.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			for {
				err := question(client, url, file)
				switch {
				case errors.Is(err, syscall.ECONNREFUSED):
					return
				case err != nil:
					fmt.Fprintln(os.Stderr, "lost:", err)
					lost.Add(1)
					return
				}
				got.Add(1)
			}
		})
	}
	time.Sleep(time.Second)
	if err := server.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	group.Wait()
	if err := server.Wait(); err != nil {
		return 0, fmt.Errorf("the server ended with %w", err)
	}
	if n := lost.Load(); n > 0 {
		return 0, fmt.Errorf("SIGTERM lost %d answers", n)
	}
	return got.Load(), nil
}
