package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/gabion/gabion/internal/lab"
)

// result is what a probe met, beside what the evaluator predicted.
type result struct {
	probe           lab.Probe
	seen, predicted bool
}

func (r result) matches() bool { return r.seen == r.predicted }

// matrix shows results as one line per source, what was seen above what was
// predicted, with one letter per service.
type matrix struct {
	paint   paint
	from    []*lab.Endpoint
	to      []*lab.Endpoint
	results map[lab.Probe]result
}

func newMatrix(p paint, from, to []*lab.Endpoint, results []result) *matrix {
	m := &matrix{paint: p, from: from, to: to, results: map[lab.Probe]result{}}
	for _, r := range results {
		m.results[r.probe] = r
	}
	return m
}

func (m *matrix) write(w io.Writer) {
	names := make([]string, len(m.to))
	for i, to := range m.to {
		names[i] = fmt.Sprintf("%-*s", len(services), to.Name)
	}
	fmt.Fprintf(w, "    %-20s%s\n", "from ╲ to", m.paint.bold(strings.Join(names, " ")))
	for _, from := range m.from {
		m.writeRow(w, from.Name, "seen", from, func(r result) bool { return r.seen })
		m.writeRow(w, "", "predicted", from, func(r result) bool { return r.predicted })
	}
}

func (m *matrix) writeRow(w io.Writer, name, kind string, from *lab.Endpoint, passed func(result) bool) {
	fmt.Fprintf(w, "    %s%s", m.paint.bold(fmt.Sprintf("%-10s", name)), m.paint.dim(fmt.Sprintf("%-10s", kind)))
	cells := make([]string, len(m.to))
	for i, to := range m.to {
		cells[i] = m.cell(from, to, passed)
	}
	fmt.Fprintln(w, strings.Join(cells, " "))
}

// cell has a mark per service.
func (m *matrix) cell(from, to *lab.Endpoint, passed func(result) bool) string {
	if from == to {
		return strings.Repeat(" ", len(services))
	}
	var b strings.Builder
	for _, s := range services {
		v4, v6 := m.results[probe(from, to, s, ipv4)], m.results[probe(from, to, s, ipv6)]
		mark := mark(s, passed(v4), passed(v6))
		switch {
		case !v4.matches() || !v6.matches():
			mark = m.paint.red(mark)
		case mark == denied:
			mark = m.paint.dim(mark)
		default:
			mark = m.paint.green(mark)
		}
		b.WriteString(mark)
	}
	return b.String()
}

const denied = "·"

func mark(s service, v4, v6 bool) string {
	switch {
	case v4 && v6:
		return string(s.letter)
	case v4:
		return "4"
	case v6:
		return "6"
	}
	return denied
}

func (m *matrix) writeLegend(w io.Writer) {
	words := make([]string, 0, len(services)+1)
	for _, s := range services {
		words = append(words, fmt.Sprintf("%c %s", s.letter, s.name))
	}
	fmt.Fprintf(w, "    %s\n", m.paint.dim(strings.Join(words, " · ")))
	fmt.Fprintf(w, "    %s\n", m.paint.dim("letter: passes over IPv4 and IPv6 · 4, 6: over that one only · ·: over neither"))
}
