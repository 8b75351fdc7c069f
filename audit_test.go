package gabion_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gabion/gabion"
)

// auditLog is a log of n records, as the store makes it.
func auditLog(t *testing.T, n int) []gabion.AuditRecord {
	t.Helper()
	previous := gabion.AuditGenesis
	var records []gabion.AuditRecord
	for i := range n {
		r := gabion.AuditRecord{AuditEntry: gabion.AuditEntry{
			Sequence: int64(i) + 1, Log: "org", Action: "create-security-group", After: json.RawMessage(fmt.Sprintf(`{"name":"%d"}`, i)),
		}}
		content, err := json.Marshal(r.AuditEntry)
		if err != nil {
			t.Fatal(err)
		}
		r.Content, r.Previous = string(content), previous
		r.Hash = gabion.AuditHash(previous, r.Content)
		previous = r.Hash
		records = append(records, r)
	}
	return records
}

// rehash makes a record's hash that of its content again, as a forger would.
func rehash(r *gabion.AuditRecord) { r.Hash = gabion.AuditHash(r.Previous, r.Content) }

func TestVerifyAuditNamesTheFirstBrokenSequence(t *testing.T) {
	good := auditLog(t, 10)
	for n := range len(good) + 1 {
		if err := gabion.VerifyAudit(good[:n]); err != nil {
			t.Errorf("%d good records: %v", n, err)
		}
	}
	tests := []struct {
		name   string
		tamper func(r []gabion.AuditRecord) []gabion.AuditRecord
		broken int
	}{
		{"content changed", func(r []gabion.AuditRecord) []gabion.AuditRecord {
			r[4].Content = strings.Replace(r[4].Content, "create", "delete", 1)
			return r
		}, 5},
		{"content changed and hashed anew", func(r []gabion.AuditRecord) []gabion.AuditRecord {
			r[4].Content = strings.Replace(r[4].Content, "create", "delete", 1)
			rehash(&r[4])
			return r
		}, 6},
		{"hash changed", func(r []gabion.AuditRecord) []gabion.AuditRecord { r[9].Hash = r[8].Hash; return r }, 10},
		{"first taken out", func(r []gabion.AuditRecord) []gabion.AuditRecord { return r[1:] }, 1},
		{"one taken out", func(r []gabion.AuditRecord) []gabion.AuditRecord { return slices.Delete(r, 3, 4) }, 4},
		{"the middle taken out", func(r []gabion.AuditRecord) []gabion.AuditRecord { return slices.Delete(r, 2, 8) }, 3},
		{"taken out and renumbered", func(r []gabion.AuditRecord) []gabion.AuditRecord {
			r = slices.Delete(r, 3, 4)
			for i := range r {
				r[i].Sequence = int64(i) + 1
			}
			return r
		}, 4},
		{"taken out, renumbered and chained", func(r []gabion.AuditRecord) []gabion.AuditRecord {
			r = slices.Delete(r, 3, 4)
			r[3].Sequence, r[3].Previous = 4, r[2].Hash
			rehash(&r[3])
			return r
		}, 4},
		{"put in twice", func(r []gabion.AuditRecord) []gabion.AuditRecord { return slices.Insert(r, 5, r[4]) }, 6},
		{"put in anew", func(r []gabion.AuditRecord) []gabion.AuditRecord {
			forged := r[5]
			forged.Content = strings.Replace(forged.Content, "create", "delete", 1)
			rehash(&forged)
			return slices.Insert(r, 5, forged)
		}, 7},
		{"put first", func(r []gabion.AuditRecord) []gabion.AuditRecord { return slices.Insert(r, 0, r[0]) }, 2},
		{"two swapped", func(r []gabion.AuditRecord) []gabion.AuditRecord { r[6], r[7] = r[7], r[6]; return r }, 7},
		{"newest first", func(r []gabion.AuditRecord) []gabion.AuditRecord { slices.Reverse(r); return r }, 1},
		{"not JSON", func(r []gabion.AuditRecord) []gabion.AuditRecord { r[9].Content = "{"; rehash(&r[9]); return r }, 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := gabion.VerifyAudit(tt.tamper(slices.Clone(good)))
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("sequence %d:", tt.broken)) {
				t.Errorf("got %v, want sequence %d", err, tt.broken)
			}
		})
	}
}

func TestVerifyAuditFindsEveryByte(t *testing.T) {
	good := auditLog(t, 3)
	for _, field := range []func(*gabion.AuditRecord) *string{
		func(r *gabion.AuditRecord) *string { return &r.Content },
		func(r *gabion.AuditRecord) *string { return &r.Previous },
		func(r *gabion.AuditRecord) *string { return &r.Hash },
	} {
		for i := range len(*field(&good[1])) {
			bad := slices.Clone(good)
			text := []byte(*field(&bad[1]))
			text[i] ^= 1
			*field(&bad[1]) = string(text)
			if err := gabion.VerifyAudit(bad); err == nil || !strings.Contains(err.Error(), "sequence 2:") {
				t.Errorf("byte %d: %v", i, err)
			}
		}
	}
}
