package study

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/record"
	"github.com/locus-learn/locus/train"
)

// server answers as MLflow does, refuses what it refuses, and keeps what it was told.
type server struct {
	t     *testing.T
	calls []string
	got   map[string][]map[string]any
	taken bool // the experiment is there
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/api/2.0/mlflow/")
	s.calls = append(s.calls, path)
	body := map[string]any{}
	text, _ := io.ReadAll(r.Body)
	if len(text) > 0 {
		if err := json.Unmarshal(text, &body); err != nil {
			s.t.Errorf("%s: %v in %s", path, err, text)
		}
	}
	s.got[path] = append(s.got[path], body)
	if path == "experiments/create" && s.taken {
		w.WriteHeader(http.StatusBadRequest)
	}
	io.WriteString(w, map[string]string{
		"experiments/create":      map[bool]string{false: `{"experiment_id": "7"}`, true: `{"error_code": "RESOURCE_ALREADY_EXISTS", "message": "it is there"}`}[s.taken],
		"experiments/get-by-name": `{"experiment": {"experiment_id": "7"}}`,
		"runs/create":             `{"run": {"info": {"run_id": "abc"}}}`,
		"runs/log-batch":          `{}`, "runs/update": `{"run_info": {}}`,
	}[path])
}

// Cells that are done are sent once, with what they measured.
func TestMLflow(t *testing.T) {
	out := t.TempDir()
	s := &Study{Name: "x", Metric: Last, Baseline: "a", Seeds: []uint64{1, 2, 3}, Arms: []Arm{{Name: "a", Recipe: "quickstart", Sets: []string{"optim.lr=1"}, Config: train.Defaults()}}}
	cells := s.Cells()
	dir := cells[0].Dir(out)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"config.yaml": "seed: 1\n", "summary.json": `{"test_acc": 50}`,
		"metrics.jsonl": `{"event": "epoch", "step": 5, "test_acc": 40, "module_acc": [null, 40]}` + "\n" + `{"event": "epoch", "step": 10, "test_acc": 50, "module_acc": [30, 50]}` + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	o, err := cells[0].finished(out)
	if err == nil {
		err = o.store(cells[0], out)
	}
	if err == nil {
		err = (&Outcome{Arm: "a", Seed: 2, Failed: "diverged", Summary: record.Summary{}}).store(cells[1], out)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, taken := range []bool{false, true} {
		fake := &server{t: t, got: map[string][]map[string]any{}, taken: taken}
		web := httptest.NewServer(fake)
		defer web.Close()
		m, err := NewMLflow(web.URL + "/")
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time there is nothing to send
			if err := m.Send(t.Context(), s, out); err != nil {
				t.Fatal(err)
			}
		}
		if taken {
			if strings.Join(fake.calls, " ") != "experiments/create experiments/get-by-name" {
				t.Errorf("once all is sent: %v", fake.calls)
			}
			continue
		}
		if want := "experiments/create runs/create runs/log-batch runs/update runs/create runs/log-batch runs/update"; strings.Join(fake.calls, " ") != want {
			t.Errorf("calls %v, want %s", fake.calls, want)
		}
		if n := len(fake.got["runs/log-batch"][0]["metrics"].([]any)); n != 2*4+3 {
			t.Errorf("%d metrics of two epochs, want 11: four each, and the heads that there are", n)
		}
		for i, want := range []string{"FINISHED", "FAILED"} {
			if got := fake.got["runs/update"][i]["status"]; got != want {
				t.Errorf("status %v, want %s", got, want)
			}
		}
	}
}

func TestMLflowRefuses(t *testing.T) {
	for _, address := range []string{"", "localhost:5000", "ftp://x", "http://", "://"} {
		if _, err := NewMLflow(address); !fault.Is(err) || !strings.Contains(err.Error(), "--mlflow") {
			t.Errorf("%q: %v", address, err)
		}
	}
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	m, err := NewMLflow(web.URL)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Send(t.Context(), &Study{Name: "x"}, t.TempDir()); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a server without MLflow: %v", err)
	}
}
