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
	for _, c := range []struct {
		want string
		r    rest.AuditRecord
	}{
		{"ci", rest.AuditRecord{Key: "EXO1", KeyName: "ci", Outcome: rest.AuditRecordOutcomeDenied}},
		{"EXO1", rest.AuditRecord{Key: "EXO1"}},
		{"unknown", rest.AuditRecord{Outcome: rest.AuditRecordOutcomeDenied, Remote: "192.0.2.7", Action: "list-security-groups"}},
		{"host", rest.AuditRecord{Action: "join-host", Remote: "192.0.2.7"}},
		{"host", rest.AuditRecord{Action: "renew-host", Remote: "192.0.2.7"}},
		{"server", rest.AuditRecord{Action: "remove-organization"}},
	} {
		if got := who(c.r); got != c.want {
			t.Errorf("%+v was done by %q, want %q", c.r, got, c.want)
		}
	}
}
