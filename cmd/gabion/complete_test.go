package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Where a command takes a file the shell proposes some, and nowhere else.
func TestCompletionOfFiles(t *testing.T) {
	const files, none, directories = "0", "4", "16"
	for args, want := range map[string]string{
		"apply ": files, "backup ": files, "restore ": files, "agent --token-file ": files, "server --tls-cert ": files,
		"server --data-dir ": directories, "agent --state-dir ": directories,
		"group create ": none, "host token ": none, "operation show ": none, "rule add web --port ": none, "version ": none,
	} {
		got := runWith(nil, append([]string{cobra.ShellCompRequestCmd}, strings.Split(args, " ")...)...)
		if _, directive, _ := strings.Cut(strings.TrimSpace(got.stdout), ":"); directive != want {
			t.Errorf("gabion %s[tab]: directive %s, want %s", args, directive, want)
		}
	}
}

func TestCompletionProposesWhatThereIs(t *testing.T) {
	s := newStub(t, world())
	for _, test := range []struct{ args, want string }{
		{"group show ", "db\nweb\n"},
		{"group add-source web ", ""},
		{"instance attach web1 ", "db\nweb\n"},
		{"instance stop ", "web1\ntwin\ntwin\n"},
		{"rule delete ", "db\nweb\n"},
		{"rule delete web ", "71000000\tingress tcp 22 from 203.0.113.0/24\n72000000\tegress udp 53 to "}, // ::/0
		{"host delete ", "hv1\nhv2\n"},
		{"rule add web --template ", "ping\nssh\n"},
		{"rule add web --from ", "db\nweb\n"},
		{"explain --to ", "web1\ntwin\ntwin\n"},
		{"group list -o ", "table\njson\n"},
		{"rule hits ", "db\nweb\n"},
		{"rule add web --direction ", "ingress\negress\n"},
		{"server --group-changes ", "stopped\nlive\n"},
	} {
		got := s.gabion(append([]string{cobra.ShellCompRequestCmd}, strings.Split(test.args, " ")...)...)
		if proposed, _, _ := strings.Cut(got.stdout, ":"); proposed != test.want {
			t.Errorf("gabion %s[tab] proposes %q, want %q", test.args, proposed, test.want)
		}
	}
}
