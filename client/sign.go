package client

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// scheme names the signature in the Authorization header.
const scheme = "EXO2-HMAC-SHA256"

// signatureLifetime is how long a signature stays good: well under the ten
// minutes the server allows, so that clocks may differ by some.
const signatureLifetime = 5 * time.Minute

// signer is a transport that signs each request before it passes it on.
type signer struct {
	key, secret string
	now         func() time.Time
	next        http.RoundTripper
}

// RoundTrip signs a copy of the request: a transport must not change the original.
func (s *signer) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := readBody(req)
	if err != nil {
		return nil, fmt.Errorf("read request body: %w", err)
	}
	signed := req.Clone(req.Context())
	if body != nil {
		signed.Body = io.NopCloser(bytes.NewReader(body))
	}
	expires := s.now().Add(signatureLifetime).Unix()
	signed.Header.Set("Authorization", s.authorization(req.Method, req.URL, body, expires))
	return s.next.RoundTrip(signed)
}

func readBody(req *http.Request) ([]byte, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return nil, nil
	}
	defer req.Body.Close()
	return io.ReadAll(req.Body)
}

// authorization is the header's value. The signed text is five lines: method and
// path, body, values of the query arguments, headers (none are signed), expiry.
func (s *signer) authorization(method string, u *url.URL, body []byte, expires int64) string {
	names, values := signedArguments(u.Query())
	expiry := strconv.FormatInt(expires, 10)
	mac := hmac.New(sha256.New, []byte(s.secret))
	fmt.Fprintf(mac, "%s %s\n%s\n%s\n\n%s", method, u.EscapedPath(), body, values, expiry)

	parts := []string{scheme + " credential=" + s.key}
	if len(names) > 0 {
		parts = append(parts, "signed-query-args="+strings.Join(names, ";"))
	}
	parts = append(parts, "expires="+expiry,
		"signature="+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return strings.Join(parts, ",")
}

// signedArguments are the names of the query arguments that can be signed, sorted,
// and their values run together in that order. Arguments with several values
// can't be signed, and the server refuses them.
func signedArguments(query url.Values) (names []string, values string) {
	for name, v := range query {
		if len(v) == 1 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		values += query.Get(name)
	}
	return names, values
}
