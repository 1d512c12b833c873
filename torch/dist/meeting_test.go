package dist_test

import (
	"crypto/rand"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/locus-learn/locus/internal/fault"
	"github.com/locus-learn/locus/torch/dist"
)

// A stranger who sends bytes, or asks without the secret, changes nothing and stops nobody.
func TestMeetingOutlastsStrangers(t *testing.T) {
	address := free(t)
	keeper, err := dist.Meet(0, "tcp", address, "secret", 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer keeper.Close()
	if err := keeper.Set("all/0", []byte("here")); err != nil {
		t.Fatal(err)
	}
	junk := make([]byte, 1<<16)
	rand.Read(junk)
	for _, say := range []string{
		string(junk), "", "\x00", strings.Repeat("A", 1<<16), "GET /all/0 HTTP/1.1\r\nHost: locus\r\n\r\n",
		"PUT /all/0 HTTP/1.1\r\nHost: locus\r\nContent-Length: 5\r\n\r\nthief", "PUT /all/0 HTTP/1.1\r\nLocus-Secret: secre\r\nHost: l\r\nContent-Length: 1\r\n\r\nx",
		"PUT /x HTTP/1.1\r\nHost: locus\r\nContent-Length: 99999999999999\r\n\r\n",
	} {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(300 * time.Millisecond))
		io.WriteString(c, say)
		answer, _ := io.ReadAll(io.LimitReader(c, 1<<16))
		if strings.Contains(string(answer), "here") || strings.Contains(string(answer), "200 OK") {
			t.Errorf("a stranger who said %.60q was told %q", say, answer)
		}
		c.Close()
	}
	other, err := dist.Meet(1, "tcp", address, "secret", 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if got, err := other.Get("all/0"); err != nil || string(got) != "here" {
		t.Errorf("%q, %v", got, err)
	}
}

// Who comes first waits for the keeper, a value that is not there yet is waited for, and all waiting ends.
func TestMeetingWaits(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	early, err := dist.Meet(1, "unix", socket, "", 300*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	if _, err := early.Get("a"); err == nil {
		t.Error("nobody was there to answer")
	}
	time.AfterFunc(50*time.Millisecond, func() {
		if keeper, err := dist.Meet(0, "unix", socket, "", time.Second); err == nil {
			t.Cleanup(keeper.Close)
			time.Sleep(50 * time.Millisecond)
			keeper.Set("a", []byte("b"))
		}
	})
	late, err := dist.Meet(2, "unix", socket, "", 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	if got, err := late.Get("a"); err != nil || string(got) != "b" {
		t.Errorf("%q, %v", got, err)
	}
}

// The keeper listens at its address alone, and a port that is taken is an error.
func TestMeetingListensWhereItIsTold(t *testing.T) {
	address := free(t)
	keeper, err := dist.Meet(0, "tcp", address, "", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer keeper.Close()
	if _, err := dist.Meet(0, "tcp", address, "", time.Second); err == nil {
		t.Error("the port is in use")
	}
	_, port, _ := net.SplitHostPort(address)
	if c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.2", port)); err == nil {
		c.Close()
		t.Error("it listens on another address, too")
	}
}

// free returns an address on loopback that nobody listens at.
func free(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// A key is claimed once, and a meeting that is refused ends for all: who waits, who asks later, and who has not heard of it yet.
func TestMeetingIsRefused(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	keeper, err := dist.Meet(0, "unix", socket, "x", 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer keeper.Close()
	other := dist.Visit("unix", socket, "x", 5*time.Second)
	defer other.Close()
	if holder, err := keeper.Claim("rank/1", []byte("first")); len(holder) > 0 || err != nil {
		t.Errorf("%q, %v", holder, err)
	}
	if holder, err := other.Claim("rank/1", []byte("second")); string(holder) != "first" || err != nil {
		t.Errorf("%q, %v, want the first claim", holder, err)
	}
	if got, err := other.Get("rank/1"); string(got) != "first" || err != nil || other.Refused() != nil {
		t.Errorf("%q, %v", got, err)
	}
	waits := make(chan error)
	go func() {
		_, err := keeper.Get("nobody sets this")
		waits <- err
	}()
	time.Sleep(20 * time.Millisecond)
	dist.Visit("unix", socket, "wrong", time.Second).Refuse("a stranger says so")
	other.Refuse("two are rank 1")
	other.Refuse("a later reason")
	for name, err := range map[string]error{"waits": <-waits, "sets": other.Set("a", nil), "has heard": keeper.Refused()} {
		if !fault.Is(err) || err.Error() != "two are rank 1" {
			t.Errorf("who %s: %v", name, err)
		}
	}
}
