package main

import (
	"testing"

	"github.com/gabion/gabion/client/rest"
)

func TestWhoDidIt(t *testing.T) {
	for want, r := range map[string]rest.AuditRecord{
		"ci":      {Key: "EXO1", KeyName: "ci", Outcome: rest.AuditRecordOutcomeDenied},
		"EXO1":    {Key: "EXO1"},
		"unknown": {Outcome: rest.AuditRecordOutcomeDenied, Remote: "192.0.2.7", Action: "list-security-groups"},
		"host":    {Action: "join-host", Remote: "192.0.2.7"},
		"server":  {Action: "remove-organization"},
	} {
		if got := who(r); got != want {
			t.Errorf("%+v was done by %q, want %q", r, got, want)
		}
	}
}
