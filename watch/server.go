package watch

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	_ "embed"
	"encoding/json"
	"errors"
	"html/template"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/locus-learn/locus/internal/disk"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// Sample is an image as a network gets it.
type Sample struct {
	Label string `json:"label"`
	PNG   []byte `json:"png"`
}

// Options are what a page can show beyond what run folders have. Both functions may be nil, and are called from several
// goroutines, once for each run.
type Options struct {
	Samples  func(dir string) ([]Sample, error) // some training images of the run in a folder
	Forecast func(dir string) (int64, error)    // its peak of live tensor bytes, as planned
}

// Server shows the runs below a folder.
type Server struct {
	folder   folder
	o        Options
	loopback bool
	token    string
	samples  once[[]Sample]
	forecast once[int64]
}

// New returns a server of the runs in a folder, which may have none yet, for a listener. Who may stop runs: on a loopback
// address, the pages that this server has given out; on any other, whoever has the token, too.
func New(dir string, at net.Addr, o Options) *Server {
	tcp, ok := at.(*net.TCPAddr)
	return &Server{folder: folder{root: dir, known: map[string]cached{}}, o: o, loopback: ok && tcp.IP.IsLoopback(), token: rand.Text()}
}

// URL is where the page is, for people; it ends with the token where stopping needs one.
func (s *Server) URL(at net.Addr) string {
	url := "http://" + at.String() + "/"
	if !s.loopback {
		url += "#" + s.token
	}
	return url
}

// Loopback reports whether only this machine can reach the page.
func (s *Server) Loopback() bool { return s.loopback }

// Handler returns the page and what it reads.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /api/runs", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.folder.runs()) })
	mux.HandleFunc("GET /api/samples", func(w http.ResponseWriter, r *http.Request) { ask(s, w, r, &s.samples, s.o.Samples) })
	mux.HandleFunc("GET /api/forecast", func(w http.ResponseWriter, r *http.Request) { ask(s, w, r, &s.forecast, s.o.Forecast) })
	mux.HandleFunc("POST /api/stop", s.stop)
	return s.guarded(mux)
}

// guarded refuses requests that a page of somebody else's sends under another name of this machine, and keeps what is
// answered from being framed, stored or mistaken for another type.
func (s *Server) guarded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		ip := net.ParseIP(host)
		if s.loopback && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, "this page is for localhost", http.StatusForbidden)
			return
		}
		header := w.Header()
		header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cache-Control", "no-store")
		h.ServeHTTP(w, r)
	})
}

func (s *Server) page(w http.ResponseWriter, _ *http.Request) {
	token := ""
	if s.loopback {
		token = s.token
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = page.Execute(w, map[string]string{"Folder": s.folder.root, "Token": token})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// refuse answers with one line.
func refuse(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": text})
}

// once keeps what a function said of a run.
type once[T any] struct {
	mutex sync.Mutex
	said  map[string]said[T]
}

type said[T any] struct {
	value T
	err   error
}

func (o *once[T]) of(dir string, f func(string) (T, error)) (T, error) {
	o.mutex.Lock() // one at a time: it may open a data set, or measure
	defer o.mutex.Unlock()
	if have, ok := o.said[dir]; ok {
		return have.value, have.err
	}
	value, err := f(dir)
	if o.said == nil {
		o.said = map[string]said[T]{}
	}
	o.said[dir] = said[T]{value, err}
	return value, err
}

// ask answers with what a function says of the run that is asked for.
func ask[T any](s *Server, w http.ResponseWriter, r *http.Request, o *once[T], f func(string) (T, error)) {
	dir, ok := s.folder.dir(r.URL.Query().Get("id"))
	if !ok || f == nil {
		refuse(w, http.StatusNotFound, "there is nothing of that run")
		return
	}
	value, err := o.of(dir, f)
	if err != nil {
		refuse(w, http.StatusNotFound, err.Error())
		return
	}
	answer(w, value)
}

// stop asks the process of a run to save and end, as Ctrl-C does.
func (s *Server) stop(w http.ResponseWriter, r *http.Request) {
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("X-Locus-Token")), []byte(s.token)) != 1 {
		refuse(w, http.StatusForbidden, "stopping a run needs the token that 'locus' printed behind the address of the page")
		return
	}
	dir, ok := s.folder.dir(r.URL.Query().Get("id"))
	if !ok {
		refuse(w, http.StatusNotFound, "there is no such run")
		return
	}
	if err := signal(dir); err != nil {
		refuse(w, http.StatusConflict, err.Error())
		return
	}
	answer(w, map[string]string{"state": "stopping"})
}

// signal sends SIGTERM to the process that works in a run folder. That must hold its lock now: a number in a file that was
// left behind may belong to anybody.
func signal(dir string) error {
	owner, held := disk.Holder(filepath.Join(dir, lockFile))
	here, err := os.Hostname()
	switch {
	case !held || owner.PID <= 0:
		return errors.New("no process works on this run")
	case err != nil || owner.Host != here:
		return errors.New("the run is on another machine: " + owner.Host)
	}
	return syscall.Kill(owner.PID, syscall.SIGTERM)
}

// Serve answers on a listener until the context ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 1 << 16}
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-ctx.Done()
		// The page that stopped the run is to hear so. What it follows has no end of its own.
		leaving, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer cancel()
		if server.Shutdown(leaving) != nil {
			server.Close()
		}
	}()
	err := server.Serve(l)
	if ctx.Err() != nil {
		<-done
		return nil
	}
	return err
}
