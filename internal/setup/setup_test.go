package setup

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// run calls the script with a folder of stand-ins first in the path, and returns what it prints to standard error.
func run(t *testing.T, bin string, env []string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("bash", append([]string{"../../scripts/setup.sh"}, args...)...)
	cmd.Env = append(os.Environ(), append([]string{"LIBTORCH=", "PATH=" + bin + ":" + os.Getenv("PATH")}, env...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	err := cmd.Run()
	return stderr.String(), err
}

// program puts a shell script into a folder.
func program(t *testing.T, dir, name, body string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// libtorch makes a folder that looks like one, its version in the given header; "" leaves that out.
func libtorch(t *testing.T, header, version string) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{"include/ATen/ATen.h": "", "lib/libtorch_cpu.so": "", "lib/libc10.so": ""}
	if header != "" {
		var text strings.Builder
		for i, part := range strings.Split(version, ".") {
			text.WriteString("#define TORCH_VERSION_" + []string{"MAJOR", "MINOR", "PATCH"}[i] + " " + part + "\n")
		}
		files[header] = text.String()
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestVersionOfLibtorch(t *testing.T) {
	bin := t.TempDir()
	program(t, bin, "apt-get", "exit 1")
	program(t, bin, "dpkg-query", "printf installed")
	for _, c := range []struct{ header, version, want string }{
		{"include/torch/csrc/api/include/torch/version.h", "1.13.1", ""},
		{"include/torch/headeronly/version.h", "2.11.0", ""},
		{"include/torch/csrc/api/include/torch/version.h", "1.8.1", "is 1.8.1: must be 1.13 or newer; make libtorch"},
		{"include/torch/version.h", "1.9.0", "is 1.9.0: must be 1.13"},
		{"", "", "is of an unknown version: must be 1.13"},
	} {
		got, err := run(t, bin, []string{"LIBTORCH=" + libtorch(t, c.header, c.version)})
		if (err == nil) != (c.want == "") || !strings.Contains(got, c.want) || strings.Count(got, "\n") > 1 {
			t.Errorf("libtorch %s: %v, %q; want %q in one line", c.version, err, got, c.want)
		}
	}
	if got, err := run(t, bin, []string{"LIBTORCH=" + bin}); err == nil || !strings.Contains(got, "must be a folder with include/ATen/ATen.h") {
		t.Errorf("a folder without libtorch: %v, %q", err, got)
	}
}

// What apt would install is looked at before anything is installed.
func TestDistributionWithoutLibtorch(t *testing.T) {
	for _, c := range []struct{ candidate, want string }{
		{"  Candidate: 1.8.1-4", "apt has libtorch 1.8.1-4 here, and Locus needs 1.13 or newer"},
		{"  Candidate: (none)", "apt has no libtorch-dev here"},
		{"", "apt has no libtorch-dev here"},
	} {
		bin := t.TempDir()
		log := filepath.Join(bin, "log")
		program(t, bin, "apt-get", `echo "$@" >>`+log)
		program(t, bin, "apt-cache", "echo 'libtorch-dev:'; echo '"+c.candidate+"'")
		program(t, bin, "dpkg-query", "exit 1")
		program(t, bin, "sudo", `"$@"`)
		got, err := run(t, bin, nil)
		if err == nil || !strings.Contains(got, c.want) || !strings.Contains(got, "make libtorch") || strings.Count(got, "\n") > 1 {
			t.Errorf("%q: %v, %q; want %q in one line", c.candidate, err, got, c.want)
		}
		if text, _ := os.ReadFile(log); strings.Contains(string(text), "install") {
			t.Errorf("%q: something was installed: %s", c.candidate, text)
		}
	}
}

// The system is looked at before anything else.
func TestOtherSystems(t *testing.T) {
	for _, system := range []string{"Darwin", "MINGW64_NT-10.0"} {
		bin := t.TempDir()
		program(t, bin, "uname", "echo "+system)
		for _, args := range [][]string{nil, {"--cpu", "new"}} {
			got, err := run(t, bin, nil, args...)
			if want := "this is " + system + ", and Locus runs on Linux alone"; err == nil || !strings.Contains(got, want) || strings.Count(got, "\n") != 1 {
				t.Errorf("%s %v: %v, %q; want %q in one line", system, args, err, got, want)
			}
		}
	}
}

// Builds that cannot be say why in the compiler's first line.
func TestBuildsThatCannotBe(t *testing.T) {
	for _, c := range []struct{ env, want string }{
		{"GOOS=linux CGO_ENABLED=0", "Locus_needs_cgo_and_a_Cxx_compiler__install_gxx_and_set_CGO_ENABLED_to_1"},
		{"GOOS=darwin CGO_ENABLED=0", "Locus_runs_on_Linux_alone__not_on_macOS_or_Windows"},
		{"GOOS=windows CGO_ENABLED=0", "Locus_runs_on_Linux_alone__not_on_macOS_or_Windows"},
	} {
		cmd := exec.Command("go", "list", "-f", `{{join .GoFiles "\n"}}`, "./torch")
		cmd.Dir = "../.."
		cmd.Env = append(os.Environ(), strings.Fields(c.env)...)
		files, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		named := false
		for _, file := range strings.Fields(string(files)) {
			text, err := os.ReadFile(filepath.Join("../../torch", file))
			if err != nil {
				t.Fatal(err)
			}
			named = named || strings.Contains(string(text), "type _ "+c.want)
		}
		if !named {
			t.Errorf("%s: no file of package torch has the type %s", c.env, c.want)
		}
	}
}

func TestOldCompilerAndWrongArguments(t *testing.T) {
	bin := t.TempDir()
	program(t, bin, "g++", "echo 9.4.0")
	if got, err := run(t, bin, nil); err == nil || !strings.Contains(got, "g++ is 9.4.0: must be 10 or newer") {
		t.Errorf("g++ 9.4: %v, %q", err, got)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--gpu"}, "unknown argument --gpu"}, {[]string{"--cpu"}, "--cpu needs a folder"}, {[]string{"--cuda", bin}, "is there already"},
	} {
		if got, err := run(t, bin, nil, c.args...); err == nil || !strings.Contains(got, c.want) || strings.Count(got, "\n") > 1 {
			t.Errorf("%v: %v, %q; want %q in one line", c.args, err, got, c.want)
		}
	}
}
