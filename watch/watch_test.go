package watch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/record"
)

// made writes the folder of a run with three modules and n epochs of 100 steps, of five.
func made(t *testing.T, dir, method string, n int) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"config.yaml":   "seed: 7\nmethod: {name: " + method + "}\nmodel: {name: resnet32}\ndata: {set: fashion-mnist}\n",
		"manifest.json": `{"files": [], "start": {"total": 500}}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	j, err := record.OpenJSONL(filepath.Join(dir, "metrics.jsonl"), -1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 * n {
		v := 1 / float64(i+2)
		if err := j.Step(record.Step{Step: 10 * (i + 1), Loss: v, ModuleLoss: []float64{3 * v, 2 * v, v}, SGRCos: []float64{0, 0.5 - v, 0.8 - v}, Seconds: 0.5, ImagesPerSecond: 256}); err != nil {
			t.Fatal(err)
		}
		if i%10 == 9 {
			acc := 90 - 100*v
			measure := map[string]string{"bp": "mAP"}[method] // its images have several labels
			if err := j.Epoch(record.Epoch{Measure: measure, Step: 10 * (i + 1), TestAcc: acc, ModuleAcc: []float64{acc - 8, acc - 3, acc}, PeakBytes: 120 << 20, RestingBytes: 20 << 20}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if n == 5 {
		if err := record.WriteJSON(filepath.Join(dir, "summary.json"), record.Summary{Steps: 500, TestAcc: 88, PeakBytes: 120 << 20}); err != nil {
			t.Fatal(err)
		}
	}
}

// samples are two small pictures.
func samples(string) ([]Sample, error) {
	var out []Sample
	for i, label := range []string{"Sandal", "Coat"} {
		m := image.NewGray(image.Rect(0, 0, 28, 28))
		for p := range m.Pix {
			m.Pix[p] = uint8(p * (i + 1) % 256)
		}
		m.SetGray(0, 0, color.Gray{255})
		var b bytes.Buffer
		if err := png.Encode(&b, m); err != nil {
			return nil, err
		}
		out = append(out, Sample{label, b.Bytes()})
	}
	return out, nil
}

// started serves a folder on a free port of this machine.
func started(t *testing.T, dir string, o Options) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	s := New(dir, l.Addr(), o)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s.URL(l.Addr())
}

func get(t *testing.T, method, url string, header map[string]string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		if r.Header.Set(k, v); k == "Host" {
			r.Host = v
		}
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestRunsAndHowTheyStand(t *testing.T) {
	root := t.TempDir()
	made(t, filepath.Join(root, "arms", "bp"), "bp", 5)
	made(t, filepath.Join(root, "sgr"), "sgr", 2)
	made(t, filepath.Join(root, "left"), "sgr", 1)
	lock, err := disk.Acquire(filepath.Join(root, "sgr", ".lock"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	url := started(t, root, Options{})
	read := func() map[string]Run {
		code, text := get(t, "GET", url+"api/runs", nil)
		var list []struct {
			Run
			Left, Accuracy, Speed *float64
		}
		if err := json.Unmarshal([]byte(text), &list); code != 200 || err != nil {
			t.Fatalf("%d, %v: %s", code, err, text)
		}
		runs := map[string]Run{}
		for _, r := range list {
			if r.Left != nil {
				r.Run.Left = number(*r.Left)
			}
			runs[r.ID] = r.Run
		}
		return runs
	}
	runs := read()
	for id, want := range map[string]Run{
		"arms/bp": {State: Done, Step: 500, Total: 500, Measure: "mAP"},
		"sgr":     {State: Running, Step: 200, Total: 500, Left: 150, Measure: "accuracy"},
		"left":    {State: Waiting, Step: 100, Total: 500, Measure: "accuracy"},
	} {
		if r := runs[id]; r.State != want.State || r.Step != want.Step || r.Total != want.Total || r.Left != want.Left || r.Measure != want.Measure || r.Peak != 120<<20 || len(r.Acc.Y[0]) != 3 {
			t.Errorf("%s is %+v, want %+v", id, r, want)
		}
	}
	made(t, filepath.Join(root, "left"), "sgr", 3) // it went on
	if r := read()["left"]; r.Step != 300 {
		t.Errorf("after more steps it shows step %d", r.Step)
	}
	if code, text := get(t, "GET", url+"api/samples?id=sgr", nil); code != 404 || !strings.Contains(text, "error") {
		t.Errorf("samples that nobody has: %d %s", code, text)
	}
}

// Only pages of this server may stop a run, and only one that a process works on.
func TestWhoMayStop(t *testing.T) {
	root := t.TempDir()
	made(t, filepath.Join(root, "sgr"), "sgr", 1)
	if err := os.WriteFile(filepath.Join(root, "sgr", ".lock"), []byte("elsewhere 1\n"), 0o644); err != nil { // left behind
		t.Fatal(err)
	}
	url := started(t, root, Options{})
	_, page := get(t, "GET", url, nil)
	found := regexp.MustCompile(`\|\| "(\w+)"`).FindStringSubmatch(page)
	if found == nil {
		t.Fatal("the page has no token")
	}
	for _, c := range []struct {
		name, id string
		header   map[string]string
		code     int
		want     string
	}{
		{"no token", "sgr", nil, 403, "token"},
		{"another page", "sgr", map[string]string{"X-Locus-Token": "guess"}, 403, "token"},
		{"another name of this machine", "sgr", map[string]string{"X-Locus-Token": found[1], "Host": "evil.example"}, 403, "localhost"},
		{"no such run", "../sgr", map[string]string{"X-Locus-Token": found[1]}, 404, "no such run"},
		{"nobody at work", "sgr", map[string]string{"X-Locus-Token": found[1]}, 409, "no process"},
	} {
		code, text := get(t, "POST", url+"api/stop?id="+c.id, c.header)
		if code != c.code || !strings.Contains(text, c.want) {
			t.Errorf("%s: %d %s, want %d and %q", c.name, code, text, c.code, c.want)
		}
	}
	if code, _ := get(t, "GET", url+"api/stop?id=sgr", nil); code == 200 {
		t.Error("a link can stop a run")
	}
	// On an address that others reach, the page itself has no token.
	open := New(root, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}, Options{})
	if !strings.Contains(open.URL(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}), "#"+open.token) {
		t.Error("the address lacks the token")
	}
}

// The page is looked at in a browser where there is one: LOCUS_SCREENSHOT names a file to keep the picture in.
func TestPageInBrowser(t *testing.T) {
	browser := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			browser = path
			break
		}
	}
	if browser == "" {
		t.Skip("there is no chromium here: apt-get install chromium")
	}
	root := t.TempDir()
	made(t, filepath.Join(root, "bp"), "bp", 5)
	made(t, filepath.Join(root, "sgr"), "sgr", 3)
	lock, err := disk.Acquire(filepath.Join(root, "sgr", ".lock"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	url := started(t, root, Options{Samples: samples, Forecast: func(dir string) (int64, error) {
		if filepath.Base(dir) == "bp" {
			return 0, errors.New("not planned")
		}
		return 110 << 20, nil
	}})
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	run := func(args ...string) string {
		cmd := exec.CommandContext(ctx, browser, append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir=" + t.TempDir(),
			"--window-size=1280,1000", "--virtual-time-budget=5000"}, args...)...)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", browser, err)
		}
		return string(out)
	}
	dom := run("--dump-dom", url)
	for _, want := range []string{
		">sgr<", ">bp<", ">running<", ">done<", "300/500", "1m40s", "module 3", ">Stop<", "forecast: 110.0 MiB; the run took 9.1 % more", `alt="Sandal"`, "120.0 MiB", "<path",
	} {
		if !strings.Contains(dom, want) {
			t.Errorf("no %q on the page", want)
		}
	}
	if n := strings.Count(dom, "<path"); n < 2+3+3+1+3 {
		t.Errorf("%d curves, want those of both runs, three modules thrice and depth", n)
	}
	if at := os.Getenv("LOCUS_SCREENSHOT"); at != "" {
		run("--screenshot="+at, url)
	}
}
