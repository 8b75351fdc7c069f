package store_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/store"
)

func TestBootstrapMakesOneWorldHoweverOftenItRuns(t *testing.T) {
	t.Parallel()
	w := open(t)
	orgs := make([]string, 10)
	keys := make([]gabion.Key, 10)
	for _, err := range together(10, func(i int) (err error) {
		orgs[i], keys[i], err = w.Bootstrap(t.Context())
		return err
	}) {
		must(t, err)
	}
	for i := range orgs {
		if orgs[i] != w.org || keys[i].Secret != keys[0].Secret {
			t.Errorf("got %s, %+v", orgs[i], keys[i])
		}
	}
	if !keys[0].Operator || keys[0].Organization != w.org || !regexp.MustCompile("^EXO[0-9a-f]{24}$").MatchString(keys[0].ID) {
		t.Errorf("got key %+v", keys[0])
	}
	_, err := w.Key(t.Context(), "EXO0")
	refused(t, err, gabion.CodeNotFound)
}

func TestSecretsAreSealedAtRest(t *testing.T) {
	t.Parallel()
	w := open(t)
	_, key, err := w.Bootstrap(t.Context())
	must(t, err)
	reply, err := w.raw().Get(t.Context(), "gabion/", clientv3.WithPrefix())
	must(t, err)
	for _, kv := range reply.Kvs {
		if bytes.Contains(kv.Value, []byte(key.Secret)) {
			t.Errorf("%s holds the secret", kv.Key)
		}
	}

	other := t.TempDir()
	s := connect(t, w.embedded.Endpoint(), other, w.log())
	if _, err := s.Key(t.Context(), key.ID); err == nil || !strings.Contains(err.Error(), "secret key file") {
		t.Errorf("another server's key opened the secret, or says not how to help: %v", err)
	}
	must(t, os.WriteFile(filepath.Join(other, "short.key"), []byte("short"), 0o600))
	if _, err := store.LoadSealer(filepath.Join(other, "short.key")); err == nil {
		t.Error("a key of 5 bytes was taken")
	}
}

func TestEpochIsRenewedAtWill(t *testing.T) {
	t.Parallel()
	w := open(t)
	first, err := w.Epoch(t.Context())
	must(t, err)
	must(t, w.RenewEpoch(t.Context()))
	second, err := w.Epoch(t.Context())
	must(t, err)
	if first == second || first == "" {
		t.Errorf("epochs %q, %q", first, second)
	}
}

func TestConnectRefusesAnotherSchema(t *testing.T) {
	t.Parallel()
	w := open(t)
	for found, says := range map[string]string{
		fmt.Sprint(store.Schema + 1): "a newer release wrote", "99": "a newer release wrote", "0": "no release writes", `"x"`: "no release writes",
	} {
		_, err := w.raw().Put(t.Context(), "gabion/meta/schema", found)
		must(t, err)
		_, err = store.Connect(t.Context(), store.Config{Endpoints: []string{w.embedded.Endpoint()}, Log: w.log()})
		if err == nil || !strings.Contains(err.Error(), "schema version") || !strings.Contains(err.Error(), says) {
			t.Errorf("version %s: got %v", found, err)
		}
	}
}

// TestStoreOfBeforeOrganizationsGoesOn begins with what the first release wrote: one
// organization with a name alone, and its only key in the place of today's index.
func TestStoreOfBeforeOrganizationsGoesOn(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	_, key, err := w.Bootstrap(ctx)
	must(t, err)
	raw := w.raw()
	stored := func(at string) string {
		reply, err := raw.Get(ctx, at)
		must(t, err)
		return string(reply.Kvs[0].Value)
	}
	var record struct{ Secret []byte }
	must(t, json.Unmarshal([]byte(stored("gabion/o/"+w.org+"/key/"+key.ID)), &record))
	old, err := json.Marshal(map[string]any{
		"secret": record.Secret, "name": "operator", "organization": w.org, "operator": true, "created": key.Created,
	})
	must(t, err)
	for at, value := range map[string]string{"meta/schema": "1", "key/" + key.ID: string(old), "organization/" + w.org: `{"name":"default"}`} {
		_, err := raw.Put(ctx, "gabion/"+at, value)
		must(t, err)
	}
	for _, at := range []string{"o/" + w.org + "/key/" + key.ID, "operator-key/" + key.ID, "organization-name/default", "o/" + w.org + "/audit-head"} {
		_, err := raw.Delete(ctx, "gabion/"+at)
		must(t, err)
	}

	s := connect(t, w.embedded.Endpoint(), w.dir, w.log())
	for range 2 {
		org, again, err := s.Bootstrap(ctx)
		must(t, err)
		if diff := cmp.Diff(key, again); diff != "" || org != w.org {
			t.Errorf("organization %s, key %s", org, diff)
		}
	}
	if version := stored("gabion/meta/schema"); version != fmt.Sprint(store.Schema) {
		t.Errorf("schema version %s after the upgrade", version)
	}
	o, err := s.Organization(ctx, w.org)
	must(t, err)
	want := gabion.Organization{ID: w.org, Name: "default", Created: key.Created, Quotas: gabion.DefaultQuotas(), Hosts: []string{gabion.AnyHost}}
	if diff := cmp.Diff(want, o); diff != "" {
		t.Error(diff)
	}
	refused(t, only(s.DeleteKey(ctx, w.org, key.ID)), gabion.CodeConflict, "operator")
	refused(t, only(s.CreateOrganization(ctx, gabion.Organization{Name: "default"})), gabion.CodeConflict, "default")
	must(t, only(s.CreateGroup(ctx, gabion.Group{Organization: w.org, Name: "web"})))
}
