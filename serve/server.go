// Package serve answers questions about images over HTTP with a trained network.
//
//	POST /predict   an image's bytes, or JSON with images in base64 → the most probable classes, as JSON
//	GET  /metrics   counters and times for Prometheus
//	GET  /healthz   200 while the server takes requests, 503 once it ends
//	GET  /          a page to drop a picture on
//
// Everything that a stranger can make it hold is bounded: connections, requests at a time, bytes, pixels, time. What it
// refuses is told in one line of JSON.
package serve

import (
	"context"
	"embed"
	"io/fs"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/locus-learn/locus/train"
)

//go:embed page
var page embed.FS

// Times and sizes that no recipe changes.
const (
	headerTime  = 10 * time.Second // for a request's header
	idleTime    = time.Minute      // of a connection between two requests
	headerBytes = 16 << 10
	linger      = 300 * time.Millisecond // of connections without a request, once the server ends
)

// Server answers with one trained network.
type Server struct {
	o       train.ServeOptions
	c       *train.Classifier
	room    chan struct{} // has room for the requests at a time
	ending  atomic.Bool
	metrics *metrics
}

// New starts the workers that answer. Options that are zero have their defaults. The caller closes the server before it frees the
// network.
func New(t *train.Trained, o train.ServeOptions) (*Server, error) {
	o, err := o.Complete()
	if err != nil {
		return nil, err
	}
	s := &Server{o: o, room: make(chan struct{}, o.Queue)}
	s.metrics = newMetrics(func() float64 { return float64(s.c.Waiting()) }, func() float64 { return float64(len(s.room)) })
	s.c, err = t.Classifier(o, s.metrics.batch)
	return s, err
}

// Close ends the workers.
func (s *Server) Close() { s.c.Close() }

// Handler is the whole of what the server answers, for a program that has a listener or other pages of its own. Requests that
// a browser makes for another site's page are refused.
func (s *Server) Handler() http.Handler {
	files, err := fs.Sub(page, "page")
	if err != nil {
		panic(err) // the program was built without its page
	}
	mux := http.NewServeMux()
	mux.Handle("POST /predict", s.counted(http.HandlerFunc(s.predict)))
	mux.Handle("GET /metrics", s.metrics.handler())
	mux.HandleFunc("GET /healthz", s.health)
	for _, path := range []string{"/{$}", "/page.css", "/page.js"} { // not "/", which would take GET /predict
		mux.Handle("GET "+path, guarded(http.FileServerFS(files)))
	}
	return http.NewCrossOriginProtection().Handler(s.leaving(mux))
}

// guarded lets the page load and send nothing from elsewhere.
func guarded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		h.ServeHTTP(w, r)
	})
}

// leaving tells clients not to come back on the same connection once the server ends.
func (s *Server) leaving(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.ending.Load() {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	if s.ending.Load() {
		refuse(w, http.StatusServiceUnavailable, "the server is ending")
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
}

// Serve answers what comes to a listener, which it closes, until ctx ends. Then it takes no more connections, answers what
// was asked, and returns nil. What takes longer than a request may is cut off.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	limit := time.Duration(s.o.Seconds * float64(time.Second))
	h := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: min(headerTime, limit), ReadTimeout: limit, WriteTimeout: 2 * limit, IdleTimeout: idleTime,
		MaxHeaderBytes: headerBytes, ConnState: bounded(4 * s.o.Queue), ErrorLog: log.New(discard{}, "", 0),
	}
	failed := make(chan error, 1)
	go func() { failed <- h.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	s.ending.Store(true)
	l.Close()
	<-failed // that the listener is closed
	time.Sleep(linger)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*limit)
	defer cancel()
	if err := h.Shutdown(last); err != nil {
		return h.Close()
	}
	return nil
}

// bounded closes connections beyond so many, before they have sent anything.
func bounded(most int) func(net.Conn, http.ConnState) {
	var open atomic.Int64
	return func(c net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			if open.Add(1) > int64(most) {
				c.Close()
			}
		case http.StateClosed, http.StateHijacked:
			open.Add(-1)
		}
	}
}

// discard takes the log lines of package http, which tell of clients that do not keep to the protocol.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
