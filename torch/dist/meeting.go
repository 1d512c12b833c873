package dist

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/locus-learn/locus/internal/fault"
)

// Meeting is a [Store] that rank 0 keeps and the other ranks reach over HTTP: by a socket in a folder that only the user can
// open, or at one address of this machine. Who does not know the secret gets and changes nothing.
type Meeting struct {
	client  *http.Client
	base    string
	secret  string
	timeout time.Duration
	server  *http.Server // of rank 0
	refused atomic.Pointer[fault.Fault]
}

// Bounds of what the keeper of a meeting accepts.
const (
	mostKey    = 256
	mostValue  = 1 << 16
	mostKeys   = 1 << 16
	secretName = "Locus-Secret"
	mostReason = 1 << 12
)

// Visit returns a meeting that another process keeps: see [Meet].
func Visit(network, address, secret string, timeout time.Duration) *Meeting {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	return &Meeting{client: &http.Client{Transport: &http.Transport{DialContext: dial}}, base: "http://locus/", secret: secret, timeout: timeout}
}

// Meet opens the meeting for a rank. network is "unix", with a path for the address, or "tcp", with host:port. Rank 0 listens
// there; the others come as soon as it does. All waiting ends after the timeout.
func Meet(rank int, network, address, secret string, timeout time.Duration) (*Meeting, error) {
	m := Visit(network, address, secret, timeout)
	if rank > 0 {
		return m, nil
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	m.server = &http.Server{
		Handler:           &keeper{secret: []byte(secret), timeout: timeout, values: map[string][]byte{}, changed: make(chan struct{})},
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second, MaxHeaderBytes: 1 << 13, ErrorLog: silent(),
	}
	go m.server.Serve(listener)
	return m, nil
}

// Close ends the keeper's listening.
func (m *Meeting) Close() {
	if m.server != nil {
		m.server.Close()
	}
	m.client.CloseIdleConnections()
}

// Set implements [Store].
func (m *Meeting) Set(key string, value []byte) error {
	_, err := m.ask(http.MethodPut, key, value)
	return err
}

// Get implements [Store].
func (m *Meeting) Get(key string) ([]byte, error) { return m.ask(http.MethodGet, key, nil) }

// Claim sets a key that nobody has set, or returns what another one has claimed it with.
func (m *Meeting) Claim(key string, value []byte) (holder []byte, err error) {
	return m.ask(http.MethodPost, key, value)
}

// Refuse ends the meeting: whoever asks anything, or waits, gets a fault with this text.
func (m *Meeting) Refuse(text string) { m.ask(http.MethodDelete, "", []byte(text)) }

// Refused returns the fault that the meeting was ended with, as far as this rank has heard of it.
func (m *Meeting) Refused() error {
	if f := m.refused.Load(); f != nil {
		return f
	}
	return nil
}

// ask tries until somebody listens or the time is up.
func (m *Meeting) ask(method, key string, value []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), m.timeout)
	defer cancel()
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		got, again, err := m.try(ctx, method, key, value)
		if !again {
			return got, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("nobody answers: %w", err)
		case <-time.After(wait):
		}
	}
}

// try asks once, and says whether to ask again: where nobody listens yet.
func (m *Meeting) try(ctx context.Context, method, key string, value []byte) (got []byte, again bool, err error) {
	request, err := http.NewRequestWithContext(ctx, method, m.base+key, bytes.NewReader(value))
	if err != nil {
		return nil, false, err
	}
	request.Header.Set(secretName, m.secret)
	answer, err := m.client.Do(request)
	if err != nil {
		return nil, ctx.Err() == nil, err
	}
	defer answer.Body.Close()
	got, err = io.ReadAll(io.LimitReader(answer.Body, mostValue))
	switch {
	case err != nil || answer.StatusCode == http.StatusOK:
	case answer.StatusCode == http.StatusConflict:
		f := fault.New("%s", got)
		m.refused.Store(f)
		err = f
	default:
		err = errors.New(answer.Status)
	}
	return got, false, err
}

// keeper answers for rank 0.
type keeper struct {
	secret  []byte
	timeout time.Duration

	mutex   sync.Mutex
	values  map[string][]byte
	changed chan struct{} // closed when a key is set, and made anew
	refusal []byte        // why the meeting has ended
}

// ServeHTTP implements [http.Handler].
func (k *keeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if subtle.ConstantTimeCompare([]byte(r.Header.Get(secretName)), k.secret) != 1 {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	key := r.URL.Path
	value, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostValue))
	switch {
	case err != nil || len(key) > mostKey:
		w.WriteHeader(http.StatusBadRequest)
	case r.Method == http.MethodPut || r.Method == http.MethodPost:
		holder, ok := k.set(key, value, r.Method == http.MethodPost)
		k.answer(w, holder, ok, http.StatusBadRequest)
	case r.Method == http.MethodGet:
		value, ok := k.get(r.Context(), key)
		k.answer(w, value, ok, http.StatusNotFound)
	case r.Method == http.MethodDelete:
		k.refuse(value[:min(len(value), mostReason)])
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

// answer writes a value, that there is none, or why the meeting has ended.
func (k *keeper) answer(w http.ResponseWriter, value []byte, ok bool, otherwise int) {
	k.mutex.Lock()
	refusal := k.refusal
	k.mutex.Unlock()
	switch {
	case refusal != nil:
		w.WriteHeader(http.StatusConflict)
		value = refusal
	case !ok:
		w.WriteHeader(otherwise)
	}
	w.Write(value)
}

// set sets a key. One that is claimed keeps its value, which is returned.
func (k *keeper) set(key string, value []byte, claim bool) (holder []byte, ok bool) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	old, there := k.values[key]
	switch {
	case there && claim:
		return old, true
	case !there && len(k.values) >= mostKeys:
		return nil, false
	}
	k.values[key] = value
	k.wake()
	return nil, true
}

// refuse ends the meeting. The first reason stays.
func (k *keeper) refuse(reason []byte) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if k.refusal == nil {
		k.refusal = reason
		k.wake()
	}
}

// wake lets who waits look again. The mutex is held.
func (k *keeper) wake() {
	close(k.changed)
	k.changed = make(chan struct{})
}

// get waits until a key is set.
func (k *keeper) get(ctx context.Context, key string) ([]byte, bool) {
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	for {
		k.mutex.Lock()
		value, there := k.values[key]
		changed, ended := k.changed, k.refusal != nil
		k.mutex.Unlock()
		if there || ended {
			return value, true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, false
		}
	}
}

// silent is a log for what strangers do, which is not this run's business.
func silent() *log.Logger { return log.New(io.Discard, "", 0) }
