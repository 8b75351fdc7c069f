package main

import (
	"testing"

	"github.com/gabion/gabion/client/rest"
)

func TestNamesOfSubjectsAreWhole(t *testing.T) {
	for of, want := range map[string]string{webID: "5a9a3c5e", "hypervisor-12": "hypervisor-12", "EXO0123456789abcdef01234567": "EXO0123456789abcdef01234567", "": ""} {
		if got := subject(rest.AuditRecord{Subject: of}); got != want {
			t.Errorf("%q is shown as %q, want %q", of, got, want)
		}
	}
}

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
