package api_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// TestRawRequests writes what no library would send. {auth} stands for a good
// signature of a change that makes a group, {host} for the server.
func TestRawRequests(t *testing.T) {
	r := start(t)
	const body = `{"name":"raw"}`
	before := r.everything(t)
	for _, tt := range []struct{ name, request string }{
		{"no authorization", "POST /v2/security-group HTTP/1.1\r\nHost: {host}\r\nContent-Length: 14\r\n\r\n" + body},
		{"authorization twice", "POST /v2/security-group HTTP/1.1\r\nHost: {host}\r\nAuthorization: {auth}\r\nAuthorization: {auth}\r\nContent-Length: 14\r\n\r\n" + body},
		{"authorization in two lines", "POST /v2/security-group HTTP/1.1\r\nHost: {host}\r\nAuthorization: EXO2-HMAC-SHA256\r\n {auth}\r\nContent-Length: 14\r\n\r\n" + body},
		{"another method under its signature", "PUT /v2/security-group HTTP/1.1\r\nHost: {host}\r\nAuthorization: {auth}\r\nContent-Length: 14\r\n\r\n" + body},
		{"an overridden method", "GET /v2/security-group HTTP/1.1\r\nHost: {host}\r\nX-HTTP-Method-Override: POST\r\nAuthorization: {auth}\r\nContent-Length: 14\r\n\r\n" + body},
		{"another path by a header", "POST /v2/instance HTTP/1.1\r\nHost: {host}\r\nX-Original-URL: /v2/security-group\r\nX-Rewrite-URL: /v2/security-group\r\nAuthorization: {auth}\r\nContent-Length: 14\r\n\r\n" + body},
		{"a body that is longer than it says", "POST /v2/security-group HTTP/1.1\r\nHost: {host}\r\nAuthorization: {auth}\r\nContent-Length: 5\r\n\r\n" + body},
		{"two lengths", "POST /v2/security-group HTTP/1.1\r\nHost: {host}\r\nAuthorization: {auth}\r\nContent-Length: 14\r\nContent-Length: 5\r\n\r\n" + body},
		{"a negative length", "POST /v2/security-group HTTP/1.1\r\nHost: {host}\r\nAuthorization: {auth}\r\nContent-Length: -1\r\n\r\n" + body},
		{"a length that is no number", "POST /v2/security-group HTTP/1.1\r\nHost: {host}\r\nAuthorization: {auth}\r\nContent-Length: 0x0e\r\n\r\n" + body},
		{"a huge length", "POST /v2/security-group HTTP/1.1\r\nHost: {host}\r\nAuthorization: {auth}\r\nContent-Length: 99999999999999999999\r\n\r\n" + body},
		{"a length and chunks", "POST /v2/security-group HTTP/1.1\r\nHost: {host}\r\nAuthorization: bad\r\nContent-Length: 14\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + body},
		{"chunks without a length", "POST /v2/security-group HTTP/1.1\r\nHost: {host}\r\nAuthorization: {auth}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + body},
		{"no host", "POST /v2/security-group HTTP/1.1\r\nAuthorization: {auth}\r\nContent-Length: 14\r\n\r\n" + body},
		{"two hosts", "POST /v2/security-group HTTP/1.1\r\nHost: {host}\r\nHost: evil.example\r\nAuthorization: {auth}\r\nContent-Length: 14\r\n\r\n" + body},
		{"a method with a space", "PO ST /v2/security-group HTTP/1.1\r\nHost: {host}\r\n\r\n"},
		{"a method in small letters", "post /v2/security-group HTTP/1.1\r\nHost: {host}\r\nAuthorization: {auth}\r\nContent-Length: 14\r\n\r\n" + body},
		{"a path with a space", "GET /v2/security group HTTP/1.1\r\nHost: {host}\r\n\r\n"},
		{"a path with a broken escape", "GET /v2/security-group/%zz HTTP/1.1\r\nHost: {host}\r\n\r\n"},
		{"a path without a slash", "GET v2/security-group HTTP/1.1\r\nHost: {host}\r\n\r\n"},
		{"another server's path", "POST http://evil.example/v2/security-group HTTP/1.1\r\nHost: {host}\r\nAuthorization: bad\r\nContent-Length: 14\r\n\r\n" + body},
		{"a tunnel", "CONNECT evil.example:443 HTTP/1.1\r\nHost: {host}\r\n\r\n"},
		{"a header without a name", "GET /v2/security-group HTTP/1.1\r\nHost: {host}\r\n: x\r\n\r\n"},
		{"a header with a zero byte", "GET /v2/security-group HTTP/1.1\r\nHost: {host}\r\nX: a\x00b\r\n\r\n"},
		{"a header of 64 KiB", "GET /v2/security-group HTTP/1.1\r\nHost: {host}\r\nX: " + strings.Repeat("a", 64<<10) + "\r\n\r\n"},
		{"5000 headers", "GET /v2/security-group HTTP/1.1\r\nHost: {host}\r\n" + strings.Repeat("X: aaaaa\r\n", 5000) + "\r\n"},
		{"a path of 64 KiB", "GET /v2/" + strings.Repeat("a", 64<<10) + " HTTP/1.1\r\nHost: {host}\r\n\r\n"},
		{"no version of HTTP", "GET /v2/security-group HTTP/1.x\r\nHost: {host}\r\n\r\n"},
		{"an expectation", "POST /v2/security-group HTTP/1.1\r\nHost: {host}\r\nExpect: more\r\nContent-Length: 14\r\n\r\n" + body},
		{"cookies by the thousand", "GET /v2/security-group HTTP/1.1\r\nHost: {host}\r\nCookie: " + strings.Repeat("__Host-gabion=x; ", 1000) + "\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if status := r.raw(t, tt.request); status < 400 || status > 499 {
				t.Errorf("got %d, want a refusal", status)
			}
		})
	}
	if after := r.everything(t); after != before {
		t.Errorf("something changed:\n%s\n%s", before, after)
	}
	if status := r.raw(t, "POST /v2/security-group HTTP/1.1\r\nHost: {host}\r\nAuthorization: {auth}\r\nContent-Length: 14\r\n\r\n"+body); status != http.StatusOK {
		t.Errorf("as it should be: got %d", status)
	}
}

// raw writes the text and returns the status of the answer.
func (r *running) raw(t *testing.T, request string) int {
	t.Helper()
	host := strings.TrimSuffix(strings.TrimPrefix(r.endpoint, "https://"), "/v2")
	good := r.signingOf(r.request(t, "POST", "/security-group", `{"name":"raw"}`), `{"name":"raw"}`)
	conn, err := tls.Dial("tcp", host, &tls.Config{RootCAs: r.roots(t), MinVersion: tls.VersionTLS13})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	// An error of writing is that the server has answered and closed before the end.
	_, _ = conn.Write([]byte(strings.NewReplacer("{host}", host, "{auth}", good.header()).Replace(request)))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// roots are whom a client trusts.
func (r *running) roots(t *testing.T) *x509.CertPool {
	t.Helper()
	pem, err := os.ReadFile(r.env["SSL_CERT_FILE"])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return roots
}
