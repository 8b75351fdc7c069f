package faults_test

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// publish prints the table, and writes it into the page if there is one to write.
func publish() error {
	if len(results) == 0 {
		return nil
	}
	if *page == "" {
		fmt.Println(table(nil))
		return nil
	}
	document, err := os.ReadFile(*page)
	if err != nil {
		return err
	}
	text := table(document)
	fmt.Println(text)
	for _, section := range []struct{ name, text string }{{"machine", machine()}, {"table", text}} {
		if document, err = fillIn(document, section.name, section.text); err != nil {
			return err
		}
	}
	return os.WriteFile(*page, document, 0o644)
}

// table has a line for each row. One that did not run now has the line of the document.
func table(document []byte) string {
	var b strings.Builder
	b.WriteString("| fault | accepted | result | figures |\n| --- | --- | --- | --- |\n")
	for _, r := range rows {
		begin := fmt.Sprintf("| %s | %s | ", r.fault, r.accepted)
		if got := results[r.test]; got != nil {
			fmt.Fprintf(&b, "%s%s | %s |\n", begin, got.state, strings.Join(got.figures, "; "))
		} else {
			b.WriteString(lineOf(document, begin))
		}
	}
	return b.String()
}

// lineOf is the line of the document that begins so.
func lineOf(document []byte, begin string) string {
	for line := range strings.Lines(string(document)) {
		if strings.HasPrefix(line, begin) {
			return line
		}
	}
	return begin + notRun + " | |\n"
}

// machine says what this is.
func machine() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return err.Error() + "\n"
	}
	return fmt.Sprintf("%d cores, Linux %s, %s; faults that may last as long as one likes lasted %s.\n",
		runtime.NumCPU(), unix.ByteSliceToString(name.Release[:]), runtime.Version(), *lasts)
}

// fillIn replaces what stands between the marks of a section.
func fillIn(document []byte, section, text string) ([]byte, error) {
	begin, end := "<!-- faults: "+section+" -->\n", "<!-- end of "+section+" -->"
	head, rest, ok := bytes.Cut(document, []byte(begin))
	_, tail, closed := bytes.Cut(rest, []byte(end))
	if !ok || !closed {
		return nil, fmt.Errorf("fill in %s: the page has no marks for it", section)
	}
	return []byte(string(head) + begin + text + end + string(tail)), nil
}
