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
	"time"
)

// Meeting is a [Store] that rank 0 keeps and the other ranks reach over HTTP: by a socket in a folder that only the user can
// open, or at one address of this machine. Who does not know the secret gets and changes nothing.
type Meeting struct {
	client  *http.Client
	base    string
	secret  string
	timeout time.Duration
	server  *http.Server // of rank 0
}

// Bounds of what the keeper of a meeting accepts.
const (
	mostKey    = 256
	mostValue  = 1 << 16
	mostKeys   = 1 << 16
	secretName = "Locus-Secret"
)

// Meet opens the meeting for a rank. network is "unix", with a path for the address, or "tcp", with host:port. Rank 0 listens
// there; the others come as soon as it does. All waiting ends after the timeout.
func Meet(rank int, network, address, secret string, timeout time.Duration) (*Meeting, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	m := &Meeting{client: &http.Client{Transport: &http.Transport{DialContext: dial}}, base: "http://locus/", secret: secret, timeout: timeout}
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
	if err == nil && answer.StatusCode != http.StatusOK {
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
}

// ServeHTTP implements [http.Handler].
func (k *keeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := r.URL.Path
	switch {
	case subtle.ConstantTimeCompare([]byte(r.Header.Get(secretName)), k.secret) != 1:
		w.WriteHeader(http.StatusForbidden)
	case len(key) > mostKey:
		w.WriteHeader(http.StatusBadRequest)
	case r.Method == http.MethodPut:
		value, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostValue))
		if err != nil || !k.set(key, value) {
			w.WriteHeader(http.StatusBadRequest)
		}
	case r.Method == http.MethodGet:
		value, ok := k.get(r.Context(), key)
		if !ok {
			w.WriteHeader(http.StatusNotFound)
		}
		w.Write(value)
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func (k *keeper) set(key string, value []byte) bool {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if _, there := k.values[key]; !there && len(k.values) >= mostKeys {
		return false
	}
	k.values[key] = value
	close(k.changed)
	k.changed = make(chan struct{})
	return true
}

// get waits until a key is set.
func (k *keeper) get(ctx context.Context, key string) ([]byte, bool) {
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	for {
		k.mutex.Lock()
		value, there := k.values[key]
		changed := k.changed
		k.mutex.Unlock()
		if there {
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
