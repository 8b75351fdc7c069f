package server

import (
	"net/http"

	"github.com/gabion/gabion/internal/store"
)

// staleWarning is RFC 9111's word for it.
const staleWarning = `110 gabion "Response is Stale"`

// tolerateStale lets requests that only read be answered while too few members of
// the etcd cluster are there to tell what is so now. Such an answer says so. Whether
// the server is ready is what is so now.
func tolerateStale(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead || r.URL.Path == "/readyz" {
			next.ServeHTTP(w, r)
			return
		}
		ctx, stale := store.TolerateStale(r.Context())
		next.ServeHTTP(&markingWriter{w, stale}, r.WithContext(ctx))
	})
}

// markingWriter adds the warning as soon as it is known what was read.
type markingWriter struct {
	http.ResponseWriter
	stale *store.Staleness
}

func (w *markingWriter) WriteHeader(status int) {
	if w.stale.Stale() {
		w.Header().Set("Warning", staleWarning)
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *markingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
