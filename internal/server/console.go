package server

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gabion/gabion/internal/api"
)

// probes are the API's paths beside its base.
var probes = []string{"/healthz", "/readyz", "/metrics"}

// beside serves the console wherever the API has no path.
func beside(surface, console http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := r.URL.Path; p == api.Base || strings.HasPrefix(p, api.Base+"/") || slices.Contains(probes, p) {
			surface.ServeHTTP(w, r)
			return
		}
		console.ServeHTTP(w, r)
	})
}
