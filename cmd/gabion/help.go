package main

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

const helpTemplate = `{{with (or .Long .Short)}}{{. | trimTrailingWhitespaces}}

{{end}}{{.UsageString}}`

// usageTemplate leads with how to write the command, then shows it in use: most
// people read no further.
const usageTemplate = `Usage:
  {{if .HasAvailableSubCommands}}{{.CommandPath}} COMMAND{{else}}{{.UseLine}}{{end}}
{{- if .HasExample}}

Examples:
{{.Example}}
{{- end}}
{{- if .HasAvailableSubCommands}}{{$commands := .Commands}}
{{- if .Groups}}{{range $group := .Groups}}

{{.Title}}
{{- range $commands}}{{if (and (eq .GroupID $group.ID) (or .IsAvailableCommand (eq .Name "help")))}}
  {{rpad .Name .NamePadding}}  {{.Short}}{{end}}{{end}}{{end}}
{{- else}}

Commands:
{{- range $commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}}  {{.Short}}{{end}}{{end}}
{{- end}}
{{- end}}
{{- if .HasAvailableLocalFlags}}

Flags:
{{flags .LocalFlags}}
{{- end}}
{{- if .HasAvailableSubCommands}}

{{.CommandPath}} COMMAND --help says more.
{{- end}}
`

// silentDefaults are what a flag without a value worth telling has.
var silentDefaults = []string{"", "0", "0s", "-1", "false", "[]"}

// flagTable lists flags with what to give them and what for. A usage text begins
// with the name of the flag's value in backquotes, if it has one.
func flagTable(set *pflag.FlagSet) string {
	var rows [][]string
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		usage = strings.TrimSpace(strings.TrimPrefix(usage, value))
		if !slices.Contains(silentDefaults, f.DefValue) {
			usage += " (default " + f.DefValue + ")"
		}
		name := "    --" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", --" + f.Name
		}
		rows = append(rows, []string{"", strings.TrimRight(name+" "+value, " "), usage})
	})
	var out strings.Builder
	_ = align(&out, rows) // a strings.Builder takes everything
	return strings.TrimRight(out.String(), "\n")
}
