package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"image/png"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// address waits for the address of the page.
func (l *lines) address(t *testing.T) string {
	t.Helper()
	for range 300 {
		if found := l.find(`the page is at http://\S+`); found != "" {
			return strings.TrimPrefix(found, "the page is at ")
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("no address of a page in\n%s", l)
	return ""
}

func fetch(t *testing.T, url string, into any) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v: %s", url, err, text)
	}
}

// A finished run shows with its images and its forecast, which is the peak that it had.
func TestWatch(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("runs/a", "--web", "127.0.0.1:0")...)
	ctx, stop := context.WithCancel(t.Context())
	var said lines
	ended := make(chan int)
	go func() {
		ended <- run(ctx, []string{"watch", b.path("runs"), "--data", b.data, "--web", "127.0.0.1:0"}, io.Discard, &said)
	}()
	url := said.address(t)
	var runs []struct {
		ID, State string
		Peak      int64
	}
	fetch(t, url+"api/runs", &runs)
	if len(runs) != 1 || runs[0].ID != "a" || runs[0].State != "done" {
		t.Fatalf("runs are %+v", runs)
	}
	var images []struct {
		Label string
		PNG   []byte
	}
	fetch(t, url+"api/samples?id=a", &images)
	if len(images) != shownSamples {
		t.Fatalf("%d images", len(images))
	}
	if c, err := png.DecodeConfig(bytes.NewReader(images[0].PNG)); err != nil || c.Width != 32 || images[0].Label == "" {
		t.Errorf("an image of %d columns, class %q: %v", c.Width, images[0].Label, err)
	}
	var bytes int64
	fetch(t, url+"api/forecast?id=a", &bytes)
	if off := float64(bytes)/float64(runs[0].Peak) - 1; off < -0.1 || off > 0.1 {
		t.Errorf("forecast is %d bytes, the run took %d", bytes, runs[0].Peak)
	}
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d\n%s", code, said.String())
	}
}

// While a run trains, its page says so, and its button ends it as Ctrl-C does.
func TestStopFromThePage(t *testing.T) {
	b := newWorkbench(t)
	cmd := program(t, b.train("run", "--web", "127.0.0.1:0", "--set", "schedule.epochs=1000")...)
	var said lines
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	url := said.address(t)
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	page, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	token := regexp.MustCompile(`\|\| "(\w+)"`).FindStringSubmatch(string(page))
	if token == nil {
		t.Fatal("the page has no token")
	}
	for range 100 {
		request, _ := http.NewRequest("POST", url+"api/stop?id=run", strings.NewReader(""))
		request.Header.Set("X-Locus-Token", token[1])
		resp, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == 200 {
			break
		}
		time.Sleep(100 * time.Millisecond) // the run has not begun
	}
	err = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.Contains(said.String(), "--resume") {
		t.Errorf("exit code %d, %v\n%s", code, err, said.String())
	}
}
