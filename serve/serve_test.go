package serve_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/locus-learn/locus/data"
	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/serve"
	"github.com/locus-learn/locus/train"
)

const side = 8

func init() {
	data.Register(data.Entry{Name: "shades", Doc: "dark and bright images", Open: func(o data.Options, _ []string) (data.Source, error) {
		var t data.Table
		for i := range 32 {
			for j := range side * side {
				t.Bytes = append(t.Bytes, byte(i%2*180+(i*31+j*7)%60))
			}
			t.Labels = append(t.Labels, int64(i%2))
		}
		return data.Memory{Name: o.Set, Shape: data.Shape{C: 1, H: side, W: side}, Classes: []string{"dark", "bright"}, Train: t, Test: t}.Source()
	}})
}

// shades trains a network that tells dark from bright images, and opens it.
func shades(t *testing.T) *train.Trained {
	t.Helper()
	c, err := train.Load("", []string{"data.set=shades", "data.batch=16", "model.name=resnet32", "model.depth=8", "model.width=4",
		"head.name=linear", "method.name=layerwise", "method.modules=3", "threads=1", "schedule.epochs=8", "optim.lr=0.05", "optim.name=sgd"})
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "run")
	r, err := train.FromRecipe(c, train.Options{Out: out, Steps: -1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Train(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	m, err := train.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Free)
	return m
}

// options are those of the recipe with changes.
func options(m *train.Trained, change func(*train.ServeOptions)) train.ServeOptions {
	o := m.Config.Serve
	o.Workers = 2
	if change != nil {
		change(&o)
	}
	return o
}

// started returns a server's handler.
func started(t *testing.T, m *train.Trained, change func(*train.ServeOptions)) http.Handler {
	t.Helper()
	s, err := serve.New(m, options(m, change))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s.Handler()
}

// shade is a PNG of one grey.
func shade(value uint8) []byte {
	m := image.NewGray(image.Rect(0, 0, 20, 12))
	for x := range 20 {
		for y := range 12 {
			m.SetGray(x, y, color.Gray{Y: value})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func post(body []byte, kind string, more ...string) *http.Request {
	r := httptest.NewRequest("POST", "/predict"+strings.Join(more, ""), bytes.NewReader(body))
	r.Header.Set("Content-Type", kind)
	return r
}

func ask(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

type reply struct {
	Predictions []struct {
		Module  int
		Classes []struct {
			Class       string
			Probability float64
		}
	}
	Error string
}

func decode(t *testing.T, body io.Reader) (r reply) {
	t.Helper()
	if err := json.NewDecoder(body).Decode(&r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPredictTakesBytesAndJSON(t *testing.T) {
	h := started(t, shades(t), nil)
	w := ask(h, post(shade(20), "image/png"))
	got := decode(t, w.Body)
	if w.Code != 200 || len(got.Predictions) != 1 || got.Predictions[0].Module != 3 || len(got.Predictions[0].Classes) != 2 ||
		got.Predictions[0].Classes[0].Class != "dark" {
		t.Errorf("bytes: code %d, %+v", w.Code, got)
	}
	body := fmt.Sprintf(`{"images": [%q, %q], "top": 1}`, base64.StdEncoding.EncodeToString(shade(20)), base64.StdEncoding.EncodeToString(shade(220)))
	w = ask(h, post([]byte(body), "application/json"))
	both := decode(t, w.Body)
	if w.Code != 200 || len(both.Predictions) != 2 || len(both.Predictions[0].Classes) != 1 || both.Predictions[0].Classes[0].Class != "dark" ||
		both.Predictions[1].Classes[0].Class != "bright" {
		t.Errorf("JSON: code %d, %+v", w.Code, both)
	}
}

// A program may leave options out; what cannot be is refused, and no worker is left behind.
func TestOptionsOfAProgram(t *testing.T) {
	m := shades(t)
	for want, o := range map[string]train.ServeOptions{
		"": {}, "serve: workers is -1": {Workers: -1}, "serve: batch is -1": {Batch: -1}, "serve: queue is -3": {Queue: -3}, "serve: seconds is -1": {Seconds: -1},
		"serve: confidence is 2": {Confidence: 2},
	} {
		s, err := serve.New(m, o)
		if want != "" {
			if !fault.Is(err) || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: error %v, want %q", o, err, want)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if w := ask(s.Handler(), post(shade(220), "image/png")); w.Code != 200 || decode(t, w.Body).Predictions[0].Classes[0].Class != "bright" {
			t.Errorf("with no options: code %d, %s", w.Code, w.Body)
		}
		s.Close()
	}
}

func TestConfidenceLeavesEarly(t *testing.T) {
	h := started(t, shades(t), func(o *train.ServeOptions) { o.Confidence = 0.01 })
	if got := decode(t, ask(h, post(shade(20), "image/png")).Body); got.Predictions[0].Module != 1 {
		t.Errorf("module %d answers, want the first", got.Predictions[0].Module)
	}
}

// promise is a PNG whose header promises more pixels than it has, or than anybody should hold.
func promise(w, h int) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 1, 1))); err != nil {
		panic(err)
	}
	file := b.Bytes()
	copy(file[16:], []byte{byte(w >> 24), byte(w >> 16), byte(w >> 8), byte(w), byte(h >> 24), byte(h >> 16), byte(h >> 8), byte(h)})
	crc := pngCRC(file[12:29])
	copy(file[29:], crc[:])
	return file
}

func TestRefusesWithinBounds(t *testing.T) {
	h := started(t, shades(t), func(o *train.ServeOptions) { o.Bytes, o.Pixels = 4096, 1000 })
	many := `{"images": [` + strings.TrimSuffix(strings.Repeat(`"AA==",`, 65), ",") + `]}`
	for name, c := range map[string]struct {
		request *http.Request
		code    int
		want    string
	}{
		"nothing":            {post(nil, ""), 400, "empty"},
		"text":               {post([]byte("hello"), "text/plain"), 415, "text/plain"},
		"no image":           {post([]byte("hello"), "image/png"), 422, "must be JPEG, PNG, WebP or GIF"},
		"half an image":      {post(shade(9)[:40], ""), 422, "image"},
		"too many bytes":     {post(make([]byte, 5000), ""), 413, "4096"},
		"too many pixels":    {post(promise(40, 40), ""), 422, "40×40"},
		"a bomb":             {post(promise(1<<20, 1<<20), ""), 422, "pixels"},
		"top of 0":           {post(shade(9), "", "?top=0"), 400, "top"},
		"top of words":       {post(shade(9), "", "?top=all"), 400, "all"},
		"unknown parameter":  {post(shade(9), "", "?top=1&confidence=0.9"), 400, "confidence"},
		"unknown key":        {post([]byte(`{"image": "AA==", "topk": 3}`), "application/json"), 400, "topk"},
		"more than one":      {post([]byte(`{"image": "AA=="} {}`), "application/json"), 400, "behind its end"},
		"a bracket too many": {post([]byte(`{"image": "AA=="}]`), "application/json"), 400, "behind its end"},
		"no JSON":            {post([]byte("{"), "application/json"), 400, "JSON"},
		"no base64":          {post([]byte(`{"image": "?"}`), "application/json"), 400, "JSON"},
		"no images":          {post([]byte(`{}`), "application/json"), 400, "0 images"},
		"too many images":    {post([]byte(many), "application/json"), 400, "65 images"},
		"top of 0 in JSON":   {post([]byte(`{"image": "AA==", "top": 0}`), "application/json"), 400, "top"},
		"second is none":     {post([]byte(`{"images": ["`+base64.StdEncoding.EncodeToString(shade(1))+`", "AA=="]}`), "application/json"), 422, "image 2"},
	} {
		w := ask(h, c.request)
		got := decode(t, w.Body)
		if w.Code != c.code || !strings.Contains(got.Error, c.want) || strings.Contains(got.Error, "\n") {
			t.Errorf("%s: code %d, error %q, want %d and %q", name, w.Code, got.Error, c.code, c.want)
		}
	}
	if w := ask(h, httptest.NewRequest("GET", "/predict", nil)); w.Code != 405 {
		t.Errorf("GET /predict: code %d", w.Code)
	}
	r := post(shade(9), "image/png")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if w := ask(h, r); w.Code != 403 {
		t.Errorf("a request from another site's page: code %d", w.Code)
	}
	if w := ask(h, post(shade(9), "")); w.Code != 200 {
		t.Errorf("after all that: code %d, %s", w.Code, w.Body)
	}
}

func TestMetricsHealthAndPage(t *testing.T) {
	h := started(t, shades(t), nil)
	ask(h, post(shade(9), ""))
	ask(h, post(nil, ""))
	get := func(path string) string {
		w := ask(h, httptest.NewRequest("GET", path, nil))
		if w.Code != 200 {
			t.Errorf("%s: code %d", path, w.Code)
		}
		return w.Body.String()
	}
	text := get("/metrics")
	for _, want := range []string{`locus_requests_total{code="200"} 1`, `locus_requests_total{code="400"} 1`, `locus_images_total{module="3"} 1`,
		"locus_batch_images_count 1", "locus_queue_images 0", "locus_requests_in_flight 0", "locus_request_seconds_bucket", "go_goroutines"} {
		if !strings.Contains(text, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	if got := get("/healthz"); got != "ok\n" {
		t.Errorf("/healthz says %q", got)
	}
	for path, want := range map[string]string{"/": "page.js", "/page.js": "fetch(", "/page.css": "#drop"} {
		if !strings.Contains(get(path), want) {
			t.Errorf("%s lacks %s", path, want)
		}
	}
	if policy := ask(h, httptest.NewRequest("GET", "/", nil)).Header().Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("the page's policy is %q", policy)
	}
}

// A request that has not been read to its end takes a place; the next one is refused at once instead of waiting.
func TestFullServerRefuses(t *testing.T) {
	h := started(t, shades(t), func(o *train.ServeOptions) { o.Queue = 1 })
	body, feed := io.Pipe()
	first := make(chan int)
	go func() {
		first <- ask(h, httptest.NewRequest("POST", "/predict", body)).Code
	}()
	if _, err := feed.Write(shade(9)[:10]); err != nil { // it is being read
		t.Fatal(err)
	}
	w := ask(h, post(shade(9), ""))
	if got := decode(t, w.Body); w.Code != 503 || w.Header().Get("Retry-After") == "" || !strings.Contains(got.Error, "serve.queue") {
		t.Errorf("code %d, %q", w.Code, got.Error)
	}
	if _, err := feed.Write(shade(9)[10:]); err != nil {
		t.Fatal(err)
	}
	feed.Close()
	if code := <-first; code != 200 {
		t.Errorf("the first request: code %d", code)
	}
}

func TestClientThatLeavesCostsNothing(t *testing.T) {
	h := started(t, shades(t), nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if w := ask(h, post(shade(9), "").WithContext(ctx)); w.Code != 499 {
		t.Errorf("code %d", w.Code)
	}
	if w := ask(h, post(shade(9), "")); w.Code != 200 {
		t.Errorf("the next request: code %d", w.Code)
	}
}
