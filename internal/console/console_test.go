package console_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gabion/gabion/internal/console"
)

func zip(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func built(t *testing.T) fstest.MapFS {
	t.Helper()
	return fstest.MapFS{
		"index.html.gz":       {Data: zip(t, "the page")},
		"index.html.br":       {Data: []byte("the page in brotli")},
		"favicon.svg.gz":      {Data: zip(t, "<svg/>")},
		"assets/app-1.js.gz":  {Data: zip(t, "script()")},
		"assets/app-1.js.br":  {Data: []byte("script() in brotli")},
		"assets/photo-1.webp": {Data: []byte("photo")},
		".gitignore":          {Data: []byte("*")},
	}
}

func get(t *testing.T, h http.Handler, method, path, accept string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	r.Header.Set("Accept-Encoding", accept)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestFilesAndPages(t *testing.T) {
	h := console.New(built(t))
	for _, c := range []struct {
		path, accept          string
		status                int
		text, encoding, cache string
	}{
		{"/", "", 200, "the page", "", "no-cache"},
		{"/", "gzip, br", 200, "the page in brotli", "br", "no-cache"},
		{"/groups/5a9a3c5e", "br;q=0, identity", 200, "the page", "", "no-cache"},
		{"/hosts/hv1.example", "", 200, "the page", "", "no-cache"},
		{"/.gitignore", "", 200, "the page", "", "no-cache"},
		{"/../../etc/passwd", "", 200, "the page", "", "no-cache"},
		{"/favicon.svg", "", 200, "<svg/>", "", "no-cache"},
		{"/assets/app-1.js", "", 200, "script()", "", "immutable"},
		{"/assets/app-1.js", "gzip;q=0.5, br", 200, "script() in brotli", "br", "immutable"},
		{"/assets/photo-1.webp", "gzip, br", 200, "photo", "", "immutable"},
		{"/assets/app-0.js", "", 404, "404", "", ""},
		{"/assets/", "", 200, "the page", "", "no-cache"},
	} {
		r := get(t, h, http.MethodGet, c.path, c.accept)
		text := body(t, r)
		if r.StatusCode != c.status || !strings.HasPrefix(text, c.text) {
			t.Errorf("%s (%s): %d %q, want %d %q", c.path, c.accept, r.StatusCode, text, c.status, c.text)
		}
		if got := r.Header.Get("Content-Encoding"); got != c.encoding {
			t.Errorf("%s (%s): encoding %q, want %q", c.path, c.accept, got, c.encoding)
		}
		if got := r.Header.Get("Cache-Control"); !strings.Contains(got, c.cache) {
			t.Errorf("%s: Cache-Control %q, want %q", c.path, got, c.cache)
		}
	}
}

func TestScriptIsAScript(t *testing.T) {
	r := get(t, console.New(built(t)), http.MethodGet, "/assets/app-1.js", "br")
	if got := r.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/javascript") {
		t.Errorf("Content-Type %q: with nosniff a browser will not run it", got)
	}
}

func TestNothingInlineAndNoFrames(t *testing.T) {
	policy := get(t, console.New(built(t)), http.MethodGet, "/groups", "").Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("policy %q lacks %q", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q allows what is unsafe", policy)
	}
}

func TestOnlyRead(t *testing.T) {
	if r := get(t, console.New(built(t)), http.MethodPost, "/", ""); r.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST answered %d", r.StatusCode)
	}
}

func TestWithoutABuildThePageSaysHow(t *testing.T) {
	r := get(t, console.New(fstest.MapFS{}), http.MethodGet, "/groups", "")
	if text := body(t, r); r.StatusCode != http.StatusOK || !strings.Contains(text, "make build") {
		t.Errorf("%d %q", r.StatusCode, text)
	}
}
