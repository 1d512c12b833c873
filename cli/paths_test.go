package cli

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Whatever stands where a file is expected, a command says what it is, in time. Opening a pipe would wait for a writer.
func TestWhatIsNoFileIsNotWaitedFor(t *testing.T) {
	b := newWorkbench(t)
	succeed(t, b.train("run", "--steps", "1")...)
	pipe, folder, huge := b.path("pipe.yaml"), b.path("folder.yaml"), b.path("huge.yaml")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	write(t, folder+"/x", nil)
	write(t, huge, nil)
	if err := os.Truncate(huge, 1<<40); err != nil {
		t.Skip(err)
	}
	link := b.path("link.yaml")
	if err := os.Symlink("/dev/zero", link); err != nil {
		t.Fatal(err)
	}
	based := b.path("based.yaml")
	write(t, based, []byte("base: "+pipe+"\n"))
	for path, want := range map[string]string{
		pipe: "a named pipe", folder: "a folder", link: "a device", huge: "", b.path("gone.yaml"): "no such file",
	} {
		for _, args := range [][]string{
			{"train", path}, {"show", path}, {"compare", path},
			{"train", b.recipe, "--data", b.data, "--out", b.path("new"), "--init", path},
			{"eval", path}, {"predict", path, "x.png"}, {"predict", b.path("run"), path}, {"export", path, b.path("x.safetensors")},
			{"bench", "--against", path, "--steps", "1"},
		} {
			if path == folder && (args[0] == "eval" || args[0] == "export" || args[1] == path && args[0] == "predict") {
				continue // a run folder is what they want; this one lacks a checkpoint
			}
			refuseInTime(t, want, args...)
		}
	}
	refuseInTime(t, "a named pipe", "show", based)
	refuseInTime(t, "is a folder", "export", b.path("run"), folder, "--force")
	refuseInTime(t, "a device", "export", b.path("run"), "/dev/null", "--force")
	refuseInTime(t, "a named pipe", "train", b.recipe, "--data", pipe, "--out", b.path("new"))
	refuseInTime(t, "a named pipe", "train", b.recipe, "--data", b.data, "--out", pipe)
	if info, err := os.Stat("/dev/null"); err != nil || info.Mode()&os.ModeDevice == 0 {
		t.Fatal("/dev/null was replaced")
	}
	write(t, b.path("page.yaml"), []byte("<!DOCTYPE html><p>\n\t{"))
	refuse(t, []string{"is a web page"}, "show", b.path("page.yaml"))
	write(t, b.path("gz.yaml"), []byte("\x1f\x8b\x08\x00\x00\x00"))
	refuse(t, []string{"gunzip"}, "show", b.path("gz.yaml"))
}

func refuseInTime(t *testing.T, want string, args ...string) {
	t.Helper()
	done := make(chan result, 1)
	go func() { done <- locus(context.Background(), args...) }()
	select {
	case r := <-done:
		if r.code != 2 || !strings.Contains(r.err, want) || strings.Count("\n"+r.err, "\nlocus: ") != 1 {
			t.Errorf("locus %s: exit code %d, want 2 and one line with %q\n%s", strings.Join(args, " "), r.code, want, r.err)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("locus %s waits", strings.Join(args, " "))
	}
}
