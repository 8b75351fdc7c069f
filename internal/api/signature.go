package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gabion/gabion"
)

const (
	scheme = "EXO2-HMAC-SHA256"

	// maxLifetime is how far ahead a signature may expire. Whoever signs by a
	// clock that is ahead of ours by up to maxSkew is still understood.
	maxLifetime = 10 * time.Minute
	maxSkew     = 10 * time.Second
)

// authorization is what the Authorization header says.
type authorization struct {
	credential string
	args       []string // names of the signed query arguments
	expires    int64    // Unix time
	signature  []byte
}

func parseAuthorization(headers []string) (*authorization, error) {
	if len(headers) != 1 || headers[0] == "" {
		return nil, errUnsigned
	}
	found, list, ok := strings.Cut(headers[0], " ")
	if !ok || found != scheme {
		return nil, gabion.Forbidden("the authorization scheme is not known; use %s", scheme)
	}
	var z authorization
	seen := map[string]bool{}
	for part := range strings.SplitSeq(list, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		if seen[name] || z.set(name, value) != nil {
			return nil, gabion.Forbidden("the authorization's part %q is malformed or given twice", name)
		}
		seen[name] = true
	}
	if !seen["credential"] || !seen["expires"] || !seen["signature"] || !isKeyID(z.credential) {
		return nil, gabion.Forbidden("the authorization needs credential=KEY, expires=UNIX TIME and signature=BASE64")
	}
	return &z, nil
}

func (z *authorization) set(name, value string) (err error) {
	switch name {
	case "credential":
		z.credential = value
	case "signed-query-args":
		z.args = strings.Split(value, ";")
	case "expires":
		z.expires, err = strconv.ParseInt(value, 10, 64)
	case "signature":
		z.signature, err = base64.StdEncoding.DecodeString(value)
	default:
		err = fmt.Errorf("unknown part %q", name)
	}
	return err
}

// isKeyID tells whether s can be a key's id; nothing else reaches the store.
func isKeyID(s string) bool {
	return len(s) > 0 && len(s) <= 64 && strings.IndexFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) < 0
}

// singleQuery reads the query, in which each argument stands once.
func singleQuery(raw string) (map[string]string, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, gabion.Invalid("query", "can't be read; escape it as in URLs")
	}
	query := make(map[string]string, len(values))
	for name, given := range values {
		if len(given) != 1 {
			return nil, gabion.Invalid(name, "is given %d times in the query; give it once", len(given))
		}
		query[name] = given[0]
	}
	return query, nil
}

// coversAll holds that every query argument is signed: one that is not could
// be added by anybody on the way.
func (z *authorization) coversAll(query map[string]string) error {
	for name := range query {
		if !slices.Contains(z.args, name) {
			return gabion.Forbidden("the query argument %q is not signed; name it in signed-query-args", name)
		}
	}
	for _, name := range z.args {
		if _, ok := query[name]; !ok && name != "" {
			return gabion.Forbidden("signed-query-args names %q, which the query does not have", name)
		}
	}
	return nil
}

func (z *authorization) checkExpiry(now time.Time) error {
	expires := time.Unix(z.expires, 0)
	switch {
	case !now.Before(expires):
		return gabion.Forbidden("the signature has expired; sign again, and check this machine's clock")
	case expires.After(now.Add(maxLifetime + maxSkew)):
		return gabion.Forbidden("the signature expires more than %d minutes from now; sign for less, and check this machine's clock", int(maxLifetime.Minutes()))
	}
	return nil
}

// sign is the signature that the request should have.
func sign(secret string, r *http.Request, query map[string]string, expires int64) []byte {
	names := make([]string, 0, len(query))
	for name := range query {
		names = append(names, name)
	}
	slices.Sort(names)
	h := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(h, "%s %s\n", r.Method, escapedPath(r))
	h.Write(bodyOf(r))
	h.Write([]byte{'\n'})
	for _, name := range names {
		h.Write([]byte(query[name]))
	}
	fmt.Fprintf(h, "\n\n%d", expires)
	return h.Sum(nil)
}

// escapedPath is the path as it was received: what the client signed, whatever
// the router makes of it.
func escapedPath(r *http.Request) string {
	if !strings.HasPrefix(r.RequestURI, "/") { // a proxy's absolute form
		return r.URL.EscapedPath()
	}
	path, _, _ := strings.Cut(r.RequestURI, "?")
	return path
}
