package record

import (
	"strings"
	"testing"
)

// A run's name reaches tables and the terminal as text.
func TestNamesAreText(t *testing.T) {
	named := func(name string) Summary { return Summary{Name: name, Method: "sgr"} }
	table := Table([]Summary{named("a\x1b[2J"), named("b\nc")}).Markdown()
	if strings.ContainsAny(table, "\x1b") || !strings.Contains(table, `"a\x1b[2J"`) || !strings.Contains(table, `"b\nc"`) {
		t.Errorf("got %q", table)
	}
}
