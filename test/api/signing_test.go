package api_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// absent is the id of nothing.
const absent = "5a9a3c5e-7c0e-4f3c-9a4c-0c8f2f0f1a11"

// signing is what a request is signed with, part by part, so that tests can get
// each of them wrong.
type signing struct {
	credential, secret string
	method, path, body string
	args               []string // names of query arguments
	values             string   // of all of them
	expires            int64
}

// signingOf signs the request as it should be.
func (r *running) signingOf(req *http.Request, body string) signing {
	s := signing{
		credential: r.env["EXOSCALE_API_KEY"], secret: r.env["EXOSCALE_API_SECRET"],
		method: req.Method, path: req.URL.EscapedPath(), body: body,
		expires: time.Now().Add(5 * time.Minute).Unix(),
	}
	query := req.URL.Query()
	for name := range query {
		s.args = append(s.args, name)
	}
	slices.Sort(s.args)
	for _, name := range s.args {
		s.values += query.Get(name)
	}
	return s
}

func (s *signing) signature() string {
	mac := hmac.New(sha256.New, []byte(s.secret))
	fmt.Fprintf(mac, "%s %s\n%s\n%s\n\n%d", s.method, s.path, s.body, s.values, s.expires)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func (s *signing) header() string {
	parts := []string{"EXO2-HMAC-SHA256 credential=" + s.credential}
	if len(s.args) > 0 {
		parts = append(parts, "signed-query-args="+strings.Join(s.args, ";"))
	}
	return strings.Join(append(parts, fmt.Sprintf("expires=%d", s.expires), "signature="+s.signature()), ",")
}

// answer is what a server said.
type answer struct {
	status int
	header http.Header
	text   string
	body   map[string]any
}

func (a answer) message() string {
	message, _ := a.body["message"].(string)
	return message
}

// ask sends a request as sign signs it.
func (r *running) ask(t *testing.T, method, route, body string, sign func(*signing)) answer {
	t.Helper()
	req := r.request(t, method, route, body)
	s := r.signingOf(req, body)
	sign(&s)
	req.Header.Set("Authorization", s.header())
	return r.send(t, req)
}

// say sends a request that is signed well.
func (r *running) say(t *testing.T, method, route, body string) answer {
	t.Helper()
	return r.ask(t, method, route, body, func(*signing) {})
}

func (r *running) request(t *testing.T, method, route, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.endpoint+route, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func (r *running) send(t *testing.T, req *http.Request) answer {
	t.Helper()
	resp, err := r.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, text: string(text)}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &a.body); err != nil {
			t.Fatalf("%s %s was answered %d %q: %v", req.Method, req.URL, resp.StatusCode, text, err)
		}
	}
	return a
}

// create makes a group and returns its id.
func (r *running) createGroup(t *testing.T, name string) string {
	t.Helper()
	return r.reference(t, "POST", "/security-group", fmt.Sprintf(`{"name":%q}`, name))
}

// reference makes a change and returns the id that it refers to.
func (r *running) reference(t *testing.T, method, route, body string) string {
	t.Helper()
	a := r.say(t, method, route, body)
	if a.status != http.StatusOK {
		t.Fatalf("%s %s was answered %d %s", method, route, a.status, a.text)
	}
	id, _ := a.body["reference"].(map[string]any)["id"].(string)
	return id
}

func TestSignatures(t *testing.T) {
	r := start(t)
	id := r.createGroup(t, "web")
	const body = `{"name":"never"}`
	now := func(d time.Duration) func(*signing) {
		return func(s *signing) { s.expires = time.Now().Add(d).Unix() }
	}
	tests := []struct {
		name                string
		method, route, body string
		sign                func(*signing)
		status              int
	}{
		{"as it should be", "GET", "/security-group", "", func(*signing) {}, 200},
		{"with a query", "GET", "/security-group?visibility=private", "", func(*signing) {}, 200},
		{"with two arguments", "GET", "/instance?labels=a:b&ip-address=10.0.0.1", "", func(*signing) {}, 200},
		{"with arguments named in another order", "GET", "/instance?labels=a:b&ip-address=10.0.0.1", "", func(s *signing) { slices.Reverse(s.args) }, 200},
		{"with an argument that nobody reads", "GET", "/security-group?nonce=7", "", func(*signing) {}, 200},
		{"of an escaped path", "DELETE", "/ssh-key/a%2Fb%7Ec", "", func(*signing) {}, 200},
		{"of a path unescaped", "DELETE", "/ssh-key/a%20b", "", func(s *signing) { s.path, _ = url.PathUnescape(s.path) }, 403},
		{"of another method", "DELETE", "/security-group/" + id, "", func(s *signing) { s.method = "GET" }, 403},
		{"of another path", "GET", "/security-group/" + id, "", func(s *signing) { s.path = "/v2/security-group" }, 403},
		{"of a path without its base", "GET", "/security-group", "", func(s *signing) { s.path = "/security-group" }, 403},
		{"of another body", "POST", "/security-group", body, func(s *signing) { s.body = `{"name":"other"}` }, 403},
		{"of no body", "POST", "/security-group", body, func(s *signing) { s.body = "" }, 403},
		{"of a body with a space more", "POST", "/security-group", body, func(s *signing) { s.body += " " }, 403},
		{"of another value", "GET", "/security-group?visibility=public", "", func(s *signing) { s.values = "private" }, 403},
		{"without its argument", "GET", "/security-group?visibility=public", "", func(s *signing) { s.args, s.values = nil, "" }, 403},
		{"with the value but not the name", "GET", "/security-group?visibility=public", "", func(s *signing) { s.args = nil }, 403},
		{"with an argument that is not there", "GET", "/security-group", "", func(s *signing) { s.args = []string{"visibility"} }, 403},
		{"with an argument twice", "GET", "/security-group?visibility=public&visibility=private", "", func(*signing) {}, 400},
		{"with a broken query", "GET", "/security-group?visibility=%zz", "", func(*signing) {}, 400},
		{"with another secret", "GET", "/security-group", "", func(s *signing) { s.secret = "guessed" }, 403},
		{"with no secret", "GET", "/security-group", "", func(s *signing) { s.secret = "" }, 403},
		{"of an unknown key", "GET", "/security-group", "", func(s *signing) { s.credential = "EXO000000000000000000000000" }, 403},
		{"of an unknown key without secret", "GET", "/security-group", "", func(s *signing) { s.credential, s.secret = "EXO0", "" }, 403},
		{"of a key that is a path", "GET", "/security-group", "", func(s *signing) { s.credential = "../o/x" }, 403},
		{"of no key", "GET", "/security-group", "", func(s *signing) { s.credential = "" }, 403},
		{"that has expired", "GET", "/security-group", "", now(-time.Second), 403},
		{"that expired long ago", "GET", "/security-group", "", func(s *signing) { s.expires = 0 }, 403},
		{"that expires in nine minutes", "GET", "/security-group", "", now(9 * time.Minute), 200},
		{"that expires in ten minutes", "GET", "/security-group", "", now(10 * time.Minute), 200},
		{"that expires in eleven minutes", "GET", "/security-group", "", now(11 * time.Minute), 403},
		{"that never expires", "GET", "/security-group", "", func(s *signing) { s.expires = 1 << 60 }, 403},
		{"wrong on a public route", "GET", "/zone", "", func(s *signing) { s.secret = "guessed" }, 403},
		{"wrong on an unknown route", "GET", "/nothing", "", func(s *signing) { s.secret = "guessed" }, 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := r.ask(t, tt.method, tt.route, tt.body, tt.sign)
			if a.status != tt.status {
				t.Errorf("got %d %s, want %d", a.status, a.text, tt.status)
			}
			if a.status >= 400 && a.message() == "" {
				t.Errorf("%s says nothing", a.text)
			}
		})
	}
	if a := r.say(t, "GET", "/security-group", ""); strings.Contains(a.text, "never") {
		t.Errorf("a request with a wrong signature made a group: %s", a.text)
	}
}

func TestAuthorizationHeaders(t *testing.T) {
	r := start(t)
	req := r.request(t, "GET", "/security-group", "")
	signed := r.signingOf(req, "")
	good, signature := signed.header(), signed.signature()
	for name, headers := range map[string][]string{
		"none":                      nil,
		"empty":                     {""},
		"scheme alone":              {"EXO2-HMAC-SHA256"},
		"another scheme":            {strings.Replace(good, "EXO2-HMAC-SHA256", "Bearer", 1)},
		"a scheme of another hash":  {strings.Replace(good, "SHA256", "SHA1", 1)},
		"two":                       {good, good},
		"no signature":              {strings.Split(good, ",signature")[0]},
		"no credential":             {strings.Replace(good, "credential="+signed.credential+",", "", 1)},
		"no expiry":                 {strings.Replace(good, fmt.Sprintf("expires=%d,", signed.expires), "", 1)},
		"an expiry that is no time": {strings.Replace(good, fmt.Sprintf("expires=%d,", signed.expires), "expires=soon,", 1)},
		"an expiry twice":           {good + fmt.Sprintf(",expires=%d", signed.expires)},
		"an unknown part":           {good + ",admin=true"},
		"an empty signature":        {strings.Replace(good, signature, "", 1)},
		"a short signature":         {strings.Replace(good, signature, signature[:8], 1)},
		"a signature not in base64": {strings.Replace(good, signature, "$$$$", 1)},
		"a flipped bit":             {strings.Replace(good, signature, flip(signature), 1)},
		"very long":                 {"EXO2-HMAC-SHA256 credential=" + strings.Repeat("A", 8000)},
	} {
		t.Run(name, func(t *testing.T) {
			req := r.request(t, "GET", "/security-group", "")
			req.Header["Authorization"] = headers
			if a := r.send(t, req); a.status != http.StatusForbidden || a.message() == "" {
				t.Errorf("got %d %s, want 403 with a message", a.status, a.text)
			}
		})
	}
}

func flip(signature string) string {
	raw, _ := base64.StdEncoding.DecodeString(signature)
	raw[0] ^= 1
	return base64.StdEncoding.EncodeToString(raw)
}

func TestWhatNeedsNoSignature(t *testing.T) {
	r := start(t)
	for _, route := range []string{"/zone", "/openapi.json"} {
		if a := r.send(t, r.request(t, "GET", route, "")); a.status != http.StatusOK {
			t.Errorf("GET %s: got %d %s", route, a.status, a.text)
		}
	}
	probe := func(path string) int {
		resp, err := r.http.Get(strings.TrimSuffix(r.endpoint, "/v2") + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := probe("/healthz"); got != http.StatusOK {
		t.Errorf("GET /healthz: got %d", got)
	}
	// It is ready as soon as it has loaded the policy.
	for deadline := time.Now().Add(10 * time.Second); probe("/readyz") != http.StatusOK; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("GET /readyz: still not ready")
		}
	}
}
