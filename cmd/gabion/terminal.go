package main

import (
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// shown is text that others wrote, fit for a terminal: what a terminal would obey, or
// what would turn the text around, is shown as a mark in its place.
func shown(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && (unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control)) {
			return utf8.RuneError
		}
		return r
	}, text)
}

// terminal writes for people only.
type terminal struct{ io.Writer }

// Write writes all of p, fit for a terminal.
func (t terminal) Write(p []byte) (int, error) {
	if _, err := io.WriteString(t.Writer, shown(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}
