package recipe

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// bareForm is text that needs no quotes in a complaint.
var bareForm = regexp.MustCompile(`^[\w.+\-/%*&!:\[\],]+$`)

// show puts a user's text into a complaint: short, on one line, quoted if it might be misread.
func show(text string) string {
	text = clip(text, maxShown)
	if bareForm.MatchString(strings.TrimSuffix(text, "…")) {
		return text
	}
	return strconv.Quote(text)
}

// maxShown is how many bytes of a user's value a complaint repeats.
const maxShown = 60

// clip cuts text to at most so many bytes, between characters, and marks the cut.
func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	end := most
	for end > most-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// oneLine folds white space, line breaks included, to single spaces.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
