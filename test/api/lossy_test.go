package api_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// lossy is a way to the server, over plain HTTP on loopback, on which the first
// answer to each change gets lost after the server has given it.
type lossy struct {
	url    string // without /v2
	status int    // what the client gets instead; 0 is a connection cut

	mu      sync.Mutex
	changes map[string][]string // answers to changes, by Authorization
}

var errCut = errors.New("the connection is cut")

func (r *running) lossy(t *testing.T, status int) *lossy {
	t.Helper()
	l := &lossy{status: status, changes: map[string][]string{}}
	way := r.relay(t)
	way.ModifyResponse = l.lose
	server := httptest.NewServer(way)
	t.Cleanup(server.Close)
	l.url = server.URL
	return l
}

// relay passes requests on to the server and holds each answer against the contract.
func (r *running) relay(t *testing.T) *httputil.ReverseProxy {
	t.Helper()
	target, err := url.Parse(strings.TrimSuffix(r.endpoint, "/v2"))
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{
		Transport: r.http.Transport,
		Rewrite:   func(p *httputil.ProxyRequest) { p.SetURL(target) },
		ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, err error) {
			if !errors.Is(err, errCut) {
				t.Errorf("pass a request on: %v", err)
			}
			panic(http.ErrAbortHandler)
		},
	}
}

func (l *lossy) lose(resp *http.Response) error {
	if resp.Request.Method == http.MethodGet {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	text, err := textOf(resp)
	if err != nil {
		return err
	}
	signature := resp.Request.Header.Get("Authorization")
	l.changes[signature] = append(l.changes[signature], text)
	switch {
	case len(l.changes[signature]) > 1:
		return nil
	case l.status == 0:
		return errCut
	}
	resp.StatusCode = l.status
	resp.Header.Set("Retry-After", "0")
	return nil
}

// textOf reads an answer's body and leaves it to be read again.
func textOf(resp *http.Response) (string, error) {
	text, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(text))
	return string(text), err
}

// check holds that each change was sent twice and answered twice alike.
func (l *lossy) check(t *testing.T, changes int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.changes) != changes {
		t.Errorf("%d changes were sent, want %d", len(l.changes), changes)
	}
	for _, answers := range l.changes {
		if len(answers) != 2 || answers[0] != answers[1] {
			t.Errorf("a change was answered %q, want the same twice", answers)
		}
	}
}
