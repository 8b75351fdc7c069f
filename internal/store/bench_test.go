package store_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/store"
)

// benchStore is a store on a real etcd, with its first organization.
func benchStore(b *testing.B) (s *store.Store, org string, key gabion.Key) {
	b.Helper()
	dir, log := b.TempDir(), slog.New(slog.DiscardHandler)
	check := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	e, err := store.StartEmbedded(dir, log)
	check(err)
	b.Cleanup(func() { check(e.Close()) })
	sealer, err := store.LoadSealer(filepath.Join(dir, "secret.key"))
	check(err)
	s, err = store.Connect(b.Context(), store.Config{Endpoints: []string{e.Endpoint()}, Sealer: sealer, Log: log})
	check(err)
	b.Cleanup(func() { check(s.Close()) })
	org, key, err = s.Bootstrap(b.Context())
	check(err)
	return s, org, key
}

// BenchmarkAddRule adds one rule to one of many groups.
func BenchmarkAddRule(b *testing.B) {
	s, org, _ := benchStore(b)
	var group string
	for n := 0; b.Loop(); n++ {
		if n%500 == 0 {
			b.StopTimer()
			op, err := s.CreateGroup(b.Context(), gabion.Group{Organization: org, Name: fmt.Sprint(n)})
			if err != nil {
				b.Fatal(err)
			}
			group = op.Subject
			b.StartTimer()
		}
		if _, err := s.AddRules(b.Context(), org, group, []gabion.Rule{port(uint16(n%500+1), "0.0.0.0/0")}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkKey finds the key of a request.
func BenchmarkKey(b *testing.B) {
	s, _, key := benchStore(b)
	for b.Loop() {
		if _, err := s.Key(b.Context(), key.ID); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCreateInstanceAmongMany makes an instance where there are 10,000: they are
// counted for the quota.
func BenchmarkCreateInstanceAmongMany(b *testing.B) {
	s, org, _ := benchStore(b)
	quotas := gabion.DefaultQuotas()
	quotas.Instances = 1_000_000
	if _, err := s.UpdateOrganization(b.Context(), org, func(o *gabion.Organization) error { o.Quotas = quotas; return nil }); err != nil {
		b.Fatal(err)
	}
	create := func() {
		if _, err := s.CreateInstance(b.Context(), gabion.Instance{Organization: org, Name: "vm"}); err != nil {
			b.Fatal(err)
		}
	}
	for range 10_000 {
		create()
	}
	for b.Loop() {
		create()
	}
}

// BenchmarkAddRuleTogether lets many change an organization at once.
func BenchmarkAddRuleTogether(b *testing.B) {
	s, org, _ := benchStore(b)
	var n atomic.Int32
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		op, err := s.CreateGroup(b.Context(), gabion.Group{Organization: org, Name: fmt.Sprint(n.Add(1))})
		for i := 0; err == nil && pb.Next(); i++ {
			_, err = s.AddRules(b.Context(), org, op.Subject, []gabion.Rule{port(uint16(i%60000+1), "0.0.0.0/0")})
		}
		if err != nil {
			b.Error(err)
		}
	})
}
