package show

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestName(t *testing.T) {
	for name, want := range map[string]string{
		"cat":                  "cat",
		"Ankle boot":           "Ankle boot",
		"T-shirt/top":          "T-shirt/top",
		"собака":               "собака",
		"犬":                    "犬",
		"Mädchen":              "Mädchen",
		"":                     `""`,
		" cat":                 `" cat"`,
		"cat ":                 `"cat "`,
		"a\nb":                 `"a\nb"`,
		"\x1b[31mred":          `"\x1b[31mred"`,
		"a\tb":                 `"a\tb"`,
		"caf\xe9":              `"caf\xe9"`,
		"cafe\u0301":           `"cafe\u0301"`,
		"a\u202egpj.exe":       `"a\u202egpj.exe"`,
		"a\u200bb":             `"a\u200bb"`,
		"a\u00a0b":             `"a\u00a0b"`,
		"c\u0430t":             `"c\u0430t"`,
		"\u0441\u043e\u0440":   `"\u0441\u043e\u0440"`,
		"ﬁle":                  `"\ufb01le"`,
		`"cat"`:                `"\"cat\""`,
		`a\nb`:                 `"a\\nb"`,
		"犬\n":                  `"犬\n"`,
		"x\ufe0f":              `"x\ufe0f"`,
		"\u3164":               `"\u3164"`,
		"a\u0085b":             `"a\u0085b"`,
		"a\u2028b":             `"a\u2028b"`,
		"cat\u00ad":            `"cat\u00ad"`,
		"\U000e0041":           `"\U000e0041"`,
		"\uff43at":             `"\uff43at"`,
		"back\x08\x08\x08\x7f": `"back\b\b\b\x7f"`,
	} {
		if got := Name(name); got != want {
			t.Errorf("%q is shown as %s, want %s", name, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	if got, want := Names([]string{"a", "b\n", "c", "d"}, 2), `a, "b\n" and 2 more`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := Names([]string{"a"}, 2); got != "a" {
		t.Errorf("got %s", got)
	}
}

func TestLine(t *testing.T) {
	for text, want := range map[string]string{
		"plain text, “quoted” — 5 %": "plain text, “quoted” — 5 %", "a\nb": `a\nb`, "a\x1b[2J": `a\x1b[2J`, "a\xffb": `a\xffb`, "\ufffd": "\ufffd",
	} {
		if got := Line(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}

// What is shown is one printable line, from which the name can be told.
func FuzzName(f *testing.F) {
	for _, s := range []string{"", "cat", "a\nb", "\xff", "\u202e", `"`, "犬\x00", "c\u0430t"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Name(s)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !plain(r) }) {
			t.Fatalf("%q is shown as %q", s, got)
		}
		back := got
		if strings.HasPrefix(got, `"`) {
			var err error
			if back, err = strconv.Unquote(got); err != nil {
				t.Fatalf("%q is shown as %s: %v", s, got, err)
			}
		}
		if back != s {
			t.Fatalf("%q is shown as %s, which says %q", s, got, back)
		}
		if line := Line(s); !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return !plain(r) }) {
			t.Fatalf("%q becomes the line %q", s, line)
		}
	})
}

func TestClip(t *testing.T) {
	for _, s := range []string{"", "short", strings.Repeat("x", 100000), strings.Repeat("é", 100000), strings.Repeat("\xff", 5000)} {
		got := Clip(s, 300)
		if len(s) <= 300 && got != s || len(got) > 310 || utf8.ValidString(s) && !utf8.ValidString(got) {
			t.Errorf("%d bytes became %d: %.20q", len(s), len(got), got)
		}
		if len(s) > 300 && (got[:90] != s[:90] || got[len(got)-90:] != s[len(s)-90:]) {
			t.Errorf("the ends of %.20q are gone", s)
		}
	}
}
