package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// format is how a reading command prints: a table for people, JSON for programs.
type format string

const (
	formatTable format = "table"
	formatJSON  format = "json"
)

// String, Set and Type make a format a flag.
func (f *format) String() string { return string(*f) }

// Type is the word for the value in the help.
func (f *format) Type() string { return "FORMAT" }

// Set refuses what is no format.
func (f *format) Set(s string) error {
	switch format(s) {
	case formatTable, formatJSON:
		*f = format(s)
		return nil
	}
	return fmt.Errorf("%q is neither; write table or json", s)
}

// reads gives a reading command its -o.
func (a *app) reads(c *cobra.Command) *cobra.Command {
	a.format = formatTable
	c.Flags().VarP(&a.format, "output", "o", "`FORMAT` table for people, json for programs: the API's own fields")
	chooses(c, "output", string(formatTable), string(formatJSON))
	return c
}

// table is what people read: aligned columns, or a sentence that says what to do
// where there is nothing to show.
type table struct {
	header []string
	rows   [][]string
	empty  string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) print(w io.Writer) error {
	if len(t.rows) == 0 {
		_, err := fmt.Fprintln(w, t.empty)
		return err
	}
	return align(w, append([][]string{t.header}, t.rows...))
}

// lists is what a command does that prints the answer of one call.
func lists[T any](a *app, all ask[T], show func([]T) *table) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		answer, err := all(c, cmd.Context())
		if err != nil {
			return err
		}
		return a.print(orEmpty(answer), show(answer))
	}
}

// align prints rows in columns two spaces apart, without blanks at line ends, fit for
// a terminal.
func align(w io.Writer, rows [][]string) error {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			row[i] = shown(cell)
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var out strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell)
			line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
		}
		out.WriteString(strings.TrimRight(line.String(), " "))
		out.WriteByte('\n')
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// print writes data as the user wants it: the API's own fields as JSON, or the table.
func (a *app) print(data any, t *table) error {
	if a.format == formatJSON {
		return a.printJSON(data)
	}
	return t.print(a.stdout)
}

func (a *app) printJSON(data any) error {
	e := json.NewEncoder(a.stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(data)
}

// say prints one sentence about what happened.
func (a *app) say(format string, args ...any) {
	fmt.Fprintln(a.stdout, shown(fmt.Sprintf(format, args...)))
}

// orEmpty makes an empty list, not null, of no list.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// orDash shows that a cell is empty on purpose.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
