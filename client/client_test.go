package client_test

import (
	"context"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/client/rest"
)

const id = "c19542b7-d269-4bd4-bf7c-2cae36d066d3"

// serve is a server that answers every call in the same way, and a client of it.
func serve(t *testing.T, handler http.HandlerFunc) *client.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return newClient(t, client.Config{Endpoint: server.URL + "/v2"})
}

func newClient(t *testing.T, config client.Config) *client.Client {
	t.Helper()
	config.Key, config.Secret = "EXO000000000000000000000001", "not-a-secret"
	c, err := client.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestRefusalsAreErrorsOfTheVocabulary(t *testing.T) {
	const problem = `{"message":"name: is empty","errors":[{"message":"name: is empty","location":"$.name"}]}`
	for _, test := range []struct {
		name   string
		status int
		body   string
		code   gabion.Code
		text   string
	}{
		{"invalid", http.StatusBadRequest, problem, gabion.CodeInvalid, "name: is empty"},
		{"bad credentials", http.StatusForbidden, `{"message":"the signature does not match"}`, gabion.CodeForbidden, "the signature does not match"},
		{"not found", http.StatusNotFound, `{"message":"gone"}`, gabion.CodeNotFound, "gone"},
		{"conflict", http.StatusConflict, `{"message":"in use"}`, gabion.CodeConflict, "in use"},
		{"limit", http.StatusTooManyRequests, `{"message":"slower"}`, gabion.CodeLimit, "slower"},
		{"unavailable", http.StatusServiceUnavailable, `{"message":"no quorum"}`, gabion.CodeUnavailable, "no quorum"},
		{"a defect", http.StatusInternalServerError, `{"message":"our fault"}`, gabion.CodeInternal, "our fault"},
		{"somebody else", http.StatusBadGateway, "<html>", gabion.CodeInternal, "answers 502 Bad Gateway; is that a Gabion server?"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := serve(t, answer(test.status, test.body)).Groups(context.Background())
			if got := gabion.CodeOf(err); got != test.code {
				t.Errorf("code %d, want %d", got, test.code)
			}
			if err == nil || !strings.HasSuffix(err.Error(), test.text) {
				t.Errorf("error %q, want it to end in %q", err, test.text)
			}
		})
	}
}

func TestCallsGoWhereTheContractSays(t *testing.T) {
	type call struct{ Method, Path, Body string }
	var got call
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = call{r.Method, r.URL.EscapedPath(), strings.TrimSpace(string(body))}
		answer(http.StatusOK, "{}")(w, r)
	})
	ctx := context.Background()
	for _, test := range []struct {
		name string
		call func() error
		want call
	}{
		{"rules", func() error {
			_, err := c.AddRules(ctx, id, []rest.AddRuleRequest{{Protocol: "ah"}, {Protocol: "esp"}})
			return err
		}, call{"POST", "/v2/security-group/" + id + "/rules:batch", `{"rules":[{"flow-direction":"","protocol":"ah"},{"flow-direction":"","protocol":"esp"}]}`}},
		{"one rule", func() error {
			_, err := c.AddRules(ctx, id, []rest.AddRuleRequest{{Protocol: "ah"}})
			return err
		}, call{"POST", "/v2/security-group/" + id + "/rules", `{"flow-direction":"","protocol":"ah"}`}},
		{
			"a source", func() error { _, err := c.AddSource(ctx, id, "203.0.113.0/24"); return err },
			call{"PUT", "/v2/security-group/" + id + ":add-source", `{"cidr":"203.0.113.0/24"}`},
		},
		{
			"a member", func() error { _, err := c.Attach(ctx, "i", id); return err },
			call{"PUT", "/v2/security-group/" + id + ":attach", `{"instance":{"id":"i"}}`},
		},
		{
			"a host's name", func() error { _, err := c.DeleteHost(ctx, "a/b"); return err },
			call{"DELETE", "/v2/host/a%2Fb", ""},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := test.call(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheSameChangeTwiceIsTwoChanges(t *testing.T) {
	seen := map[string]int{}
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen[r.Header.Get("Authorization")]++
		answer(http.StatusOK, "{}")(w, r)
	})
	for range 3 {
		if _, err := c.DeleteGroup(context.Background(), id); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 3 {
		t.Errorf("3 changes had %d signatures; the server would take the others for repeats", len(seen))
	}
}

func TestWait(t *testing.T) {
	pending := rest.Operation{ID: id, State: rest.OperationStatePending, Message: "waiting for hosts hv2 to enforce it"}
	answers := func(states ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			state := states[0]
			if len(states) > 1 {
				states = states[1:]
			}
			answer(http.StatusOK, `{"id":"`+id+`","reference":{},"reason":"conflict","message":"now `+state+`","state":"`+state+`"}`)(w, r)
		}
	}
	t.Run("until success", func(t *testing.T) {
		operation, err := serve(t, answers("pending", "success")).Wait(context.Background(), pending)
		if err != nil || operation.State != rest.OperationStateSuccess {
			t.Errorf("ended as %q, %v", operation.State, err)
		}
	})
	t.Run("until failure", func(t *testing.T) {
		_, err := serve(t, answers("pending", "failure")).Wait(context.Background(), pending)
		if gabion.CodeOf(err) != gabion.CodeConflict || err.Error() != "now failure" {
			t.Errorf("error %v", err)
		}
	})
	t.Run("until the caller gives up", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		operation, err := serve(t, answers("pending")).Wait(ctx, pending)
		if err != nil || operation.Message != pending.Message {
			t.Errorf("operation %+v, %v; want the last one and no error", operation, err)
		}
	})
}

func TestServersThatAreNotTrustedOrNotThere(t *testing.T) {
	server := httptest.NewTLSServer(answer(http.StatusOK, `{"security-groups":[]}`))
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	trusting := newClient(t, client.Config{Endpoint: server.URL + "/v2", CAFile: ca})
	if _, err := trusting.Groups(context.Background()); err != nil {
		t.Fatalf("with its CA: %v", err)
	}
	_, err := newClient(t, client.Config{Endpoint: server.URL + "/v2"}).Groups(context.Background())
	if gabion.CodeOf(err) != gabion.CodeForbidden || !strings.Contains(err.Error(), "set SSL_CERT_FILE to its ca.pem") {
		t.Errorf("without its CA: %v", err)
	}
	server.Close()
	_, err = trusting.Groups(context.Background())
	if gabion.CodeOf(err) != gabion.CodeUnavailable || !strings.Contains(err.Error(), "connection refused; is the server running") {
		t.Errorf("when it is gone: %v", err)
	}
}

// A server that dies in the middle of its answer may have done what it was asked for.
func TestAnswerThatBreaksOff(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("{"))
	}))
	defer server.Close()
	_, err := newClient(t, client.Config{Endpoint: server.URL + "/v2"}).Groups(context.Background())
	if gabion.CodeOf(err) != gabion.CodeUnavailable || !strings.Contains(err.Error(), "broke off: unexpected EOF; what was asked for may have been done") {
		t.Errorf("error %v, want one that says so", err)
	}
}

func TestConfigFromEnv(t *testing.T) {
	full := map[string]string{
		"EXOSCALE_API_KEY": "k", "EXOSCALE_API_SECRET": "s",
		"EXOSCALE_API_ENDPOINT": "https://127.0.0.1:8443/v2", "SSL_CERT_FILE": "ca.pem",
	}
	without := func(name string) func(string) string {
		return func(asked string) string {
			if asked == name {
				return ""
			}
			return full[asked]
		}
	}
	want := client.Config{Key: "k", Secret: "s", Endpoint: "https://127.0.0.1:8443/v2", CAFile: "ca.pem"}
	got, err := client.ConfigFromEnv(without(""))
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("config (-want +got):\n%s%v", diff, err)
	}
	for _, name := range []string{"EXOSCALE_API_KEY", "EXOSCALE_API_SECRET", "EXOSCALE_API_ENDPOINT"} {
		if _, err := client.ConfigFromEnv(without(name)); err == nil || !strings.Contains(err.Error(), name+" is not set; source admin.env") {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

func TestConfigThatCanNotWork(t *testing.T) {
	noPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(noPEM, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		config client.Config
		text   string
	}{
		{"no URL", client.Config{Endpoint: "127.0.0.1:8443"}, "write one like https://127.0.0.1:8443/v2"},
		{"no CA file", client.Config{Endpoint: "https://h/v2", CAFile: noPEM + ".gone"}, "no such file"},
		{"no PEM", client.Config{Endpoint: "https://h/v2", CAFile: noPEM}, "holds no certificate in PEM"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := client.New(test.config); err == nil || !strings.Contains(err.Error(), test.text) {
				t.Errorf("error %v, want %q in it", err, test.text)
			}
		})
	}
}
