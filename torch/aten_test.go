package torch

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// notOps are functions of ATen that are no operations.
var notOps = []string{"get_num_threads", "set_num_threads", "parallel_for", "show_config"}

// aten.h stands in for <ATen/ATen.h>. A file that read that again would compile all the same, slowly; one that uses an
// operation which aten.h lacks would compile only where something else happens to declare it.
func TestFilesReadOnlyTheOperationsTheyUse(t *testing.T) {
	list, err := os.ReadFile("aten.h")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.cpp")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	headers, _ := filepath.Glob("*.h")
	call := regexp.MustCompile(`\bat::([a-z_0-9]+)\(`)
	include := regexp.MustCompile(`#include <ATen/ops/(\w+)\.h>`)
	used := map[string]bool{}
	for _, name := range append(files, headers...) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "#include <ATen/ATen.h>") {
			t.Errorf("%s reads all of ATen: include aten.h", name)
		}
		has := string(text) + string(list)
		for _, m := range call.FindAllStringSubmatch(string(text), -1) {
			op := m[1]
			if slices.Contains(notOps, op) {
				continue
			}
			stem := strings.TrimSuffix(strings.TrimSuffix(op, "_out"), "_")
			used[stem], used[op] = true, true
			if !strings.Contains(has, "<ATen/ops/"+stem+".h>") && !strings.Contains(has, "<ATen/ops/"+op+".h>") {
				t.Errorf("%s calls at::%s, and neither it nor aten.h includes <ATen/ops/%s.h>", name, op, stem)
			}
		}
	}
	for _, m := range include.FindAllStringSubmatch(string(list), -1) {
		if !used[m[1]] {
			t.Errorf("aten.h includes %s.h, which no file uses", m[1])
		}
	}
}
