// Package console serves the console's files, which are built from web/ and are
// part of the binary. It knows how browsers want files, and nothing of what is in
// them or of the API that they call.
package console

import (
	"bytes"
	"compress/gzip"
	"embed"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed unbuilt.html
var unbuilt []byte

// dist is what `make build-web` puts there: files that compress as .br and .gz
// only, the others as they are. Without a build it is empty.
//
//go:embed all:dist
var dist embed.FS

// policy lets a page load files of this origin and nothing else: no script or
// style within a page, no frame around it, no form to elsewhere.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

const (
	immutable = "public, max-age=31536000, immutable" // for assets: their names change with their contents
	revisit   = "no-cache"
)

// Handler serves the files that the binary was built with.
func Handler() http.Handler {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the directory is embedded: a defect
	}
	return New(files)
}

// New serves files as the build lays them out.
func New(files fs.FS) http.Handler { return &site{files} }

type site struct{ files fs.FS }

// ServeHTTP answers files by their path. Any other path is a page's address, which
// the console itself makes sense of.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "the console is only read", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	switch {
	case strings.HasPrefix(name, "assets/"):
		if !s.serve(w, r, name, immutable) {
			http.NotFound(w, r) // of an older build; never the page, which would be no script
		}
	case name == "" || !s.serve(w, r, name, revisit):
		s.page(w, r)
	}
}

func secure(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// page answers the one page of the console, or how to build it.
func (s *site) page(w http.ResponseWriter, r *http.Request) {
	if s.serve(w, r, "index.html", revisit) {
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	http.ServeContent(w, r, "unbuilt.html", time.Time{}, bytes.NewReader(unbuilt))
}

// serve answers a file, in the best form that the client takes. It reports false
// if there is no such file.
func (s *site) serve(w http.ResponseWriter, r *http.Request, name, caching string) bool {
	if !fs.ValidPath(name) || strings.HasPrefix(path.Base(name), ".") {
		return false
	}
	data, encoding, err := s.read(name, r.Header.Get("Accept-Encoding"))
	if err != nil {
		return false
	}
	h := w.Header()
	h.Set("Cache-Control", caching)
	h.Add("Vary", "Accept-Encoding")
	if encoding != "" {
		h.Set("Content-Encoding", encoding)
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(data))
	return true
}

// read is the file's bytes, and how they are encoded.
func (s *site) read(name, accepted string) (data []byte, encoding string, err error) {
	for _, form := range []struct{ encoding, suffix string }{{"br", ".br"}, {"gzip", ".gz"}} {
		if !accepts(accepted, form.encoding) {
			continue
		}
		if data, err = fs.ReadFile(s.files, name+form.suffix); err == nil {
			return data, form.encoding, nil
		}
	}
	if data, err = fs.ReadFile(s.files, name); !errors.Is(err, fs.ErrNotExist) {
		return data, "", err
	}
	data, err = s.unpack(name + ".gz")
	return data, "", err
}

// unpack is for clients that take no compression.
func (s *site) unpack(name string) ([]byte, error) {
	packed, err := fs.ReadFile(s.files, name)
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// accepts tells whether an Accept-Encoding header names the encoding and does not refuse it.
func accepts(header, encoding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(name), encoding) {
			weight = strings.ReplaceAll(weight, " ", "")
			return weight != "q=0" && !strings.HasPrefix(weight, "q=0.000")
		}
	}
	return false
}
