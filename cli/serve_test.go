package cli

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestServeAnswersUntilItIsStopped(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("run", "--steps", "0")...)
	drawPNG(t, b.path("a.png"), 40, 40)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var said lines
	code := make(chan int)
	go func() {
		code <- run(ctx, []string{"serve", b.path("run"), "--listen", "127.0.0.1:0", "--confidence", "0.001"}, &said, &said)
	}()
	url := ""
	for began := time.Now(); url == "" && time.Since(began) < 20*time.Second; time.Sleep(5 * time.Millisecond) {
		url = said.find(`http://[0-9.:]+`)
	}
	response, err := http.Post(url+"/predict?top=2", "image/png", bytes.NewReader(read(t, b.path("a.png"))))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(response.Body); err != nil || response.StatusCode != 200 ||
		!strings.Contains(text.String(), `"module":1`) || strings.Count(text.String(), "probability") != 2 {
		t.Errorf("code %d, %v, %s", response.StatusCode, err, &text)
	}
	stop()
	if c := <-code; c != 0 {
		t.Errorf("exit code %d\n%s", c, said.String())
	}
}

func TestServeRefuses(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("run", "--steps", "0")...)
	refuse(t, []string{"--listen", "nowhere", "127.0.0.1:8080"}, "serve", b.path("run"), "--listen", "nowhere")
	refuse(t, []string{"serve.confidence", "2"}, "serve", b.path("run"), "--confidence", "2")
	refuse(t, []string{"serve.batch", "0"}, "serve", b.path("run"), "--set", "serve.batch=0")
	refuse(t, []string{"none"}, "serve", b.path("none"))
	refuse(t, []string{"RUN|CHECKPOINT"}, "serve")
}
