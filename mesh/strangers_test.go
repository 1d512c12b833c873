package mesh_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/locus-learn/locus/mesh"
	"github.com/locus-learn/locus/method"
	"github.com/locus-learn/locus/model"
)

// listening returns the addresses at which this process listens.
func listening(t *testing.T) (all []string) {
	t.Helper()
	own := map[string]bool{}
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, link := range links {
		to, _ := os.Readlink(link)
		if inode, ok := strings.CutPrefix(to, "socket:["); ok {
			own[strings.TrimSuffix(inode, "]")] = true
		}
	}
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Skip(err)
	}
	const listen = "0A"
	for _, line := range strings.Split(string(table), "\n")[1:] {
		f := strings.Fields(line)
		if len(f) < 10 || f[3] != listen || !own[f[9]] {
			continue
		}
		ip, port, _ := strings.Cut(f[1], ":")
		n, _ := strconv.ParseUint(ip, 16, 32)
		p, _ := strconv.ParseUint(port, 16, 16)
		all = append(all, fmt.Sprintf("%d.%d.%d.%d:%d", byte(n), byte(n>>8), byte(n>>16), byte(n>>24), p))
	}
	return all
}

// Strangers on loopback who connect, send bytes and go, or stay, change nothing in a run. Nothing listens elsewhere.
func TestStrangersChangeNothing(t *testing.T) {
	oneThread(t)
	o := method.Options{Name: "sgr", Modules: 3, Lambda: 5, Reduction: "batch", Normalize: true}
	one := build(t, o, nil)
	if _, err := train(one.Learner, 0, steps, 1, 1); err != nil {
		t.Fatal(err)
	}
	kept := weights(t, one, nil)
	shape := mesh.Shape{Data: 1, Modules: 3}
	worlds := overGloo(t, shape, options(shape))
	addresses := listening(t)
	t.Logf("listening at %v", addresses)
	junk := make([]byte, 1<<14)
	rand.Read(junk)
	for _, address := range addresses {
		if !strings.HasPrefix(address, "127.") {
			t.Errorf("it listens at %s", address)
		}
		for _, say := range [][]byte{junk, nil, []byte("GET / HTTP/1.1\r\n\r\n"), make([]byte, 4096)} {
			c, err := net.DialTimeout("tcp", address, time.Second)
			if err != nil {
				continue
			}
			c.SetDeadline(time.Now().Add(time.Second))
			c.Write(say)
			if len(say) == 4096 {
				defer c.Close() // stays
			} else {
				c.Close()
			}
		}
	}
	errs := lead(t, worlds, func() *model.Model { return build(t, o, nil) }, 1, func(m *model.Model, l *mesh.Leader) {
		if _, err := train(l, 0, steps, 1, 1); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(weights(t, m, l), kept) {
			t.Error("a stranger changed the weights")
		}
	})
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}
