package serve_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/locus-learn/locus/serve"
	"github.com/locus-learn/locus/train"
)

func pngCRC(chunk []byte) (sum [4]byte) {
	binary.BigEndian.PutUint32(sum[:], crc32.ChecksumIEEE(chunk))
	return sum
}

// listening starts a server on a port of its own and returns its address, what ends it, and what it returned.
func listening(t *testing.T, change func(*train.ServeOptions)) (url string, stop context.CancelFunc, ended <-chan error) {
	t.Helper()
	m := shades(t)
	s, err := serve.New(m, options(m, change))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- s.Serve(ctx, l) }()
	t.Cleanup(cancel)
	return "http://" + l.Addr().String(), cancel, result
}

// Clients that ask without end lose nothing when the server ends: whatever was begun is answered, and the first thing that
// fails is a new connection.
func TestNothingIsLostWhenTheServerEnds(t *testing.T) {
	url, stop, ended := listening(t, nil)
	var answered, refused, lost atomic.Int64
	var group sync.WaitGroup
	picture := shade(9)
	for range 8 {
		group.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			for {
				response, err := client.Post(url+"/predict", "image/png", bytes.NewReader(picture))
				switch {
				case errors.Is(err, syscall.ECONNREFUSED):
					refused.Add(1)
					return
				case err != nil:
					t.Errorf("lost: %v", err)
					lost.Add(1)
					return
				}
				_, err = io.Copy(io.Discard, response.Body)
				response.Body.Close()
				if err != nil || response.StatusCode != 200 {
					t.Errorf("lost: code %d, %v", response.StatusCode, err)
					lost.Add(1)
					return
				}
				answered.Add(1)
			}
		})
	}
	for answered.Load() < 100 {
		time.Sleep(time.Millisecond)
	}
	stop()
	group.Wait()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the server does not end")
	}
	if lost.Load() > 0 || refused.Load() != 8 {
		t.Errorf("%d answered, %d refused at the door, %d lost", answered.Load(), refused.Load(), lost.Load())
	}
}

// A client that sends slowly, or nothing, is cut off in time.
func TestSlowClientsAreCutOff(t *testing.T) {
	url, _, _ := listening(t, func(o *train.ServeOptions) { o.Seconds = 0.2 })
	for name, send := range map[string]string{
		"nothing": "", "half a header": "POST /predict HTTP/1.1\r\nHost: x\r\n",
		"half a body": "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc",
	} {
		c, err := net.Dial("tcp", url[len("http://"):])
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := io.WriteString(c, send); err != nil {
			t.Fatal(err)
		}
		c.SetReadDeadline(began.Add(5 * time.Second))
		if _, err := io.ReadAll(c); errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 4*time.Second {
			t.Errorf("%s: still connected after %v", name, time.Since(began))
		}
		c.Close()
	}
}
