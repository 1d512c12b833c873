package study

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/locus-learn/locus/internal/disk"
	"github.com/locus-learn/locus/internal/fault"
)

// MLflow sends what has become of cells to an MLflow server, by its REST interface 2.0: an experiment a study, a run a cell,
// with its parameters, its curves over steps, and its end.
type MLflow struct {
	base       string
	client     *http.Client
	experiment string
}

// NewMLflow returns a client of the server at an address such as http://localhost:5000. Nothing is sent yet.
func NewMLflow(address string) (*MLflow, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fault.New("--mlflow is %q: must be the address of a server, such as http://localhost:5000", address)
	}
	return &MLflow{base: strings.TrimRight(address, "/") + "/api/2.0/mlflow/", client: &http.Client{Timeout: 30 * time.Second}}, nil
}

// mlflowError is what a server says where it refuses.
type mlflowError struct {
	Code    string `json:"error_code"`
	Message string `json:"message"`
}

func (e *mlflowError) Error() string { return e.Code + ": " + e.Message }

// exists is the code for a name that is taken.
const exists = "RESOURCE_ALREADY_EXISTS"

// call sends a request and reads the answer; in may be nil for a question without a body.
func (m *MLflow) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, m.base+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := m.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		var said mlflowError
		if json.Unmarshal(text, &said) == nil && said.Code != "" {
			return &said
		}
		return fmt.Errorf("%s answers %s", m.base+path, resp.Status)
	}
	return json.Unmarshal(text, out)
}

// open finds the study's experiment or makes it.
func (m *MLflow) open(ctx context.Context, name string) error {
	if m.experiment != "" {
		return nil
	}
	var made struct {
		ID string `json:"experiment_id"`
	}
	err := m.call(ctx, http.MethodPost, "experiments/create", map[string]any{"name": name}, &made)
	if said, ok := errors.AsType[*mlflowError](err); ok && said.Code == exists {
		var found struct {
			Experiment struct {
				ID string `json:"experiment_id"`
			} `json:"experiment"`
		}
		err = m.call(ctx, http.MethodGet, "experiments/get-by-name?experiment_name="+url.QueryEscape(name), nil, &found)
		made.ID = found.Experiment.ID
	}
	if err == nil {
		m.experiment = made.ID
	}
	return err
}

// Keys and values as MLflow takes them.
type (
	mlflowTag    struct{ Key, Value string }
	mlflowMetric struct {
		Key       string
		Value     float64
		Timestamp int64 // milliseconds
		Step      int
	}
)

// MarshalJSON writes the names that MLflow has.
func (t mlflowTag) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"key": t.Key, "value": t.Value})
}

// MarshalJSON writes the names that MLflow has.
func (v mlflowMetric) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"key": v.Key, "value": v.Value, "timestamp": v.Timestamp, "step": v.Step})
}

// Send sends the cells of a study that are done and have not been sent yet. A file ARM/seed-N.mlflow notes the run that a cell
// was sent as.
func (m *MLflow) Send(ctx context.Context, s *Study, out string) error {
	if err := m.open(ctx, s.title()); err != nil {
		return fmt.Errorf("MLflow: %w", err)
	}
	for _, c := range s.Cells() {
		o, err := c.Outcome(out)
		if err != nil {
			return err
		}
		mark := c.Dir(out) + ".mlflow"
		if _, err := disk.ReadFile(mark); o == nil || !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		id, err := m.sendCell(ctx, s, c, o, out)
		if err != nil {
			return fmt.Errorf("MLflow: %s: %w", c.Name(), err)
		}
		if err := disk.WriteFile(mark, []byte(id+"\n")); err != nil {
			return fault.New("%s cannot be written: %w", mark, err)
		}
	}
	return nil
}

func (m *MLflow) sendCell(ctx context.Context, s *Study, c Cell, o *Outcome, out string) (id string, err error) {
	now := time.Now().UnixMilli()
	var made struct {
		Run struct {
			Info struct {
				ID string `json:"run_id"`
			} `json:"info"`
		} `json:"run"`
	}
	err = m.call(ctx, http.MethodPost, "runs/create", map[string]any{
		"experiment_id": m.experiment, "run_name": c.Name(), "start_time": now - int64(o.Summary.Seconds*1000),
		"tags": []mlflowTag{{"arm", o.Arm}, {"commit", o.Commit}, {"machine", o.Machine}, {"failed", o.Failed}},
	}, &made)
	if err != nil {
		return "", err
	}
	id = made.Run.Info.ID
	metrics := s.curves(c, out, now)
	for first := true; first || len(metrics) > 0; first = false {
		n := min(len(metrics), mostMetrics)
		batch := map[string]any{"run_id": id, "metrics": metrics[:n]}
		if first {
			batch["params"] = c.params()
		}
		if err := m.call(ctx, http.MethodPost, "runs/log-batch", batch, &struct{}{}); err != nil {
			return id, err
		}
		metrics = metrics[n:]
	}
	status := "FINISHED"
	if o.Failed != "" {
		status = "FAILED"
	}
	return id, m.call(ctx, http.MethodPost, "runs/update", map[string]any{"run_id": id, "status": status, "end_time": now}, &struct{}{})
}

// mostMetrics is how many the interface takes at once; with parameters, a thousand in all.
const mostMetrics = 900

// params are what tells cells apart, and what they are.
func (c Cell) params() []mlflowTag {
	config := c.Config()
	all := []mlflowTag{
		{"arm", c.Arm.Name}, {"recipe", filepath.Base(c.Arm.Recipe)}, {"seed", strconv.FormatUint(c.Seed, 10)},
		{"method", config.Method.Name}, {"modules", strconv.Itoa(config.Method.Modules)}, {"model", config.Model.Name},
		{"epochs", strconv.Itoa(config.Schedule.Epochs)}, {"batch", strconv.Itoa(config.Data.Batch)},
		{"lr", strconv.FormatFloat(config.Optim.LR, 'g', -1, 64)}, {"precision", config.Precision},
	}
	for _, set := range c.Arm.Sets {
		key, value, _ := strings.Cut(set, "=")
		all = append(all, mlflowTag{"set." + key, value})
	}
	return all
}

// curves are what a run has measured after each epoch. What is no number is left out, as MLflow refuses it.
func (s *Study) curves(c Cell, out string, now int64) (all []mlflowMetric) {
	log, err := readLog(filepath.Join(c.Dir(out), "metrics.jsonl"))
	if err != nil {
		return nil // one that failed before it began
	}
	for _, e := range log.Epochs {
		add := func(key string, v float64) {
			if !math.IsNaN(v) && !math.IsInf(v, 0) {
				all = append(all, mlflowMetric{key, v, now, e.Step})
			}
		}
		add("test_acc", e.TestAcc)
		add("train_loss", e.TrainLoss)
		add("lr", e.LR)
		add("peak_bytes", float64(e.PeakBytes))
		for k, acc := range e.ModuleAcc {
			add(fmt.Sprintf("module_acc/%02d", k+1), acc)
		}
		for k, cos := range e.SGRCos {
			add(fmt.Sprintf("sgr_cos/%02d", k+1), cos)
		}
	}
	return all
}
