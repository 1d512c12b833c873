// Package show makes the names of files, classes and recipes fit for a terminal and a message: one line, without control
// characters, and so that two different names never look alike.
package show

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Name returns a name as it is if it can be mistaken for no other, and otherwise in quotes with escapes, as in Go: for control
// characters, invalid UTF-8, marks that change the direction of writing, invisible characters and spaces at an end, accents
// apart from their letter, and letters that look like Latin ones.
func Name(s string) string {
	if !norm.NFKC.IsNormalString(s) || !utf8.ValidString(s) {
		return strconv.QuoteToASCII(s)
	}
	mixed := looksLatin(s)
	odd := func(r rune) bool { return !plain(r) || mixed && strings.ContainsRune(lookalikes, r) }
	if s != "" && strings.TrimSpace(s) == s && !strings.ContainsFunc(s, func(r rune) bool { return odd(r) || r == '"' || r == '\\' }) {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		escaped := strconv.QuoteToASCII(string(r))
		if r < utf8.RuneSelf || odd(r) {
			b.WriteString(escaped[1 : len(escaped)-1])
			continue
		}
		b.WriteRune(r)
	}
	b.WriteByte('"')
	return b.String()
}

// Names joins names with commas, the first most of them, and says how many more there are.
func Names(names []string, most int) string {
	var shown []string
	for _, name := range names[:min(most, len(names))] {
		shown = append(shown, Name(name))
	}
	if more := len(names) - most; more > 0 {
		return strings.Join(shown, ", ") + " and " + strconv.Itoa(more) + " more"
	}
	return strings.Join(shown, ", ")
}

// Clip returns a text of at most so many bytes, but for the mark that stands for what is left out of its middle.
func Clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	head, tail := 2*most/3, len(s)-most/3
	for head > 0 && !utf8.RuneStart(s[head]) {
		head--
	}
	for tail < len(s) && !utf8.RuneStart(s[tail]) {
		tail++
	}
	return s[:head] + " … " + s[tail:]
}

// Line returns a text without what could leave its line or change the terminal: such characters are escaped as in Go. It is the
// net below texts whose names should have gone through Name.
func Line(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		if plain(r) && (r != utf8.RuneError || strings.HasPrefix(s[i:], string(utf8.RuneError))) {
			b.WriteRune(r)
			continue
		}
		_, size := utf8.DecodeRuneInString(s[i:])
		escaped := strconv.QuoteToASCII(s[i : i+size])
		b.WriteString(escaped[1 : len(escaped)-1])
	}
	return b.String()
}

// plain reports whether a rune takes a place of its own and has an effect on no other.
func plain(r rune) bool {
	return r == ' ' || unicode.IsPrint(r) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) &&
		!unicode.Is(unicode.Variation_Selector, r) && !unicode.Is(unicode.Inherited, r)
}

// lookalikes are Cyrillic and Greek letters that look like Latin ones.
const lookalikes = "АВЕЅІЈКМНОРСТУХаеорсухіјѕһԁԛԝ" + "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαικνορτυχ"

// looksLatin reports whether a name has a letter that looks Latin, in company that makes one take it for Latin: Latin letters, or
// none but such letters.
func looksLatin(s string) bool {
	alike, latin, others := false, false, false
	for _, r := range s {
		switch {
		case strings.ContainsRune(lookalikes, r):
			alike = true
		case unicode.Is(unicode.Latin, r):
			latin = true
		case unicode.IsLetter(r):
			others = true
		}
	}
	return alike && (latin || !others)
}
