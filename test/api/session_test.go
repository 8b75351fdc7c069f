package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

const cookieName = "__Host-gabion"

// browser is a page of the console, or one that would like to be.
type browser struct {
	*running
	cookie string
	origin map[string]string // the headers that say where a request comes from
}

func (r *running) signIn(t *testing.T, k keyPair) (answer, *browser) {
	t.Helper()
	req := r.request(t, "POST", "/session", fmt.Sprintf(`{"key":%q,"secret":%q}`, k.key, k.secret))
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	a := r.send(t, req)
	b := &browser{running: r, origin: map[string]string{"Sec-Fetch-Site": "same-origin"}}
	for _, cookie := range (&http.Response{Header: a.header}).Cookies() {
		b.cookie = cookie.Value
	}
	return a, b
}

func (b *browser) does(t *testing.T, method, route, body string) answer {
	t.Helper()
	req := b.request(t, method, route, body)
	req.AddCookie(&http.Cookie{Name: cookieName, Value: b.cookie})
	for name, value := range b.origin {
		req.Header.Set(name, value)
	}
	return b.send(t, req)
}

func (b *browser) from(origin map[string]string) *browser {
	other := *b
	other.origin = origin
	return &other
}

func (r *running) operator() keyPair {
	return keyPair{r.env["EXOSCALE_API_KEY"], r.env["EXOSCALE_API_SECRET"]}
}

func TestSession(t *testing.T) {
	r := start(t)
	a, page := r.signIn(t, r.operator())
	if a.status != http.StatusOK || a.body["operator"] != true || a.body["key"] != r.env["EXOSCALE_API_KEY"] || len(page.cookie) < 43 {
		t.Fatalf("signing in: got %d %s %v", a.status, a.text, a.header)
	}
	said := a.header.Get("Set-Cookie")
	for _, part := range []string{cookieName + "=", "Path=/", "HttpOnly", "Secure", "SameSite=Strict"} {
		if !strings.Contains(said, part) {
			t.Errorf("the cookie %q lacks %s", said, part)
		}
	}
	if strings.Contains(said, "Domain") || strings.Contains(a.text, page.cookie) || strings.Contains(a.text, r.env["EXOSCALE_API_SECRET"]) {
		t.Errorf("the answer tells too much: %s %s", said, a.text)
	}
	if a := page.does(t, "GET", "/session", ""); a.status != http.StatusOK || a.body["expires-at"] == nil {
		t.Errorf("who am I: got %d %s", a.status, a.text)
	}
	if a := page.does(t, "POST", "/security-group", `{"name":"web"}`); a.status != http.StatusOK {
		t.Errorf("a change: got %d %s", a.status, a.text)
	}
	if a := page.does(t, "DELETE", "/session", ""); a.status != http.StatusNoContent || !strings.Contains(a.header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("signing out: got %d %s %v", a.status, a.text, a.header)
	}
	if a := page.does(t, "GET", "/security-group", ""); a.status != http.StatusForbidden {
		t.Errorf("after that: got %d %s", a.status, a.text)
	}
	if a := r.say(t, "GET", "/session", ""); a.status != http.StatusOK || a.body["expires-at"] != nil {
		t.Errorf("a signed request: got %d %s", a.status, a.text)
	}
}

func TestSessionsTakeRequestsOfOurPagesOnly(t *testing.T) {
	r := start(t)
	_, page := r.signIn(t, r.operator())
	host := strings.TrimSuffix(strings.TrimPrefix(r.endpoint, "https://"), "/v2")
	for _, tt := range []struct {
		name   string
		origin map[string]string
		change int // what a change is answered
	}{
		{"our page", map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": "https://" + host}, 200},
		{"our page in an old browser", map[string]string{"Origin": "https://" + host}, 200},
		{"another site", map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, 403},
		{"another site that claims to be us", map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://" + host}, 403},
		{"a sibling", map[string]string{"Sec-Fetch-Site": "same-site"}, 403},
		{"another site in an old browser", map[string]string{"Origin": "https://evil.example"}, 403},
		{"another port", map[string]string{"Origin": "https://127.0.0.1:1"}, 403},
		{"a sandbox", map[string]string{"Origin": "null"}, 403},
		{"nothing said", nil, 403},
		{"the address bar", map[string]string{"Sec-Fetch-Site": "none"}, 403},
	} {
		from := page.from(tt.origin)
		a := from.does(t, "POST", "/security-group", fmt.Sprintf(`{"name":%q}`, tt.name))
		if a.status != tt.change {
			t.Errorf("%s: a change got %d %s, want %d", tt.name, a.status, a.text, tt.change)
		}
		if a := from.does(t, "POST", "/explain", `{"from":"192.0.2.1","to":"192.0.2.2","protocol":"tcp","port":1}`); a.status != tt.change {
			t.Errorf("%s: a question got %d %s, want %d", tt.name, a.status, a.text, tt.change)
		}
		if a := from.does(t, "GET", "/security-group", ""); a.status != http.StatusOK {
			t.Errorf("%s: reading got %d %s", tt.name, a.status, a.text)
		}
		for header := range a.header {
			if strings.HasPrefix(header, "Access-Control") {
				t.Errorf("%s: the answer has %s", tt.name, header)
			}
		}
		if tt.change != http.StatusForbidden {
			continue
		}
		if a := from.does(t, "GET", "/flow?verdict=none", ""); a.status != http.StatusForbidden {
			t.Errorf("%s: the stream got %d %s, want 403", tt.name, a.status, a.text)
		}
	}
}

func TestSessionEndsWithItsKey(t *testing.T) {
	r := start(t)
	key := r.newKey(t, "/api-key", fmt.Sprintf(`{"name":"k","scopes":["rules"],"expires-at":%q}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339)))
	a, page := r.signIn(t, key)
	ends, err := time.Parse(time.RFC3339, fmt.Sprint(a.body["expires-at"]))
	if err != nil || time.Until(ends) > time.Hour {
		t.Errorf("the session goes on after its key: %s", a.text)
	}
	if a := page.does(t, "POST", "/instance", `{"name":"i"}`); a.status != http.StatusForbidden {
		t.Errorf("the session may do more than its key: got %d %s", a.status, a.text)
	}
	if a := page.does(t, "POST", "/security-group", `{"name":"web"}`); a.status != http.StatusOK {
		t.Errorf("the session may do less than its key: got %d %s", a.status, a.text)
	}
	r.say(t, "DELETE", "/api-key/"+key.key, "")
	if a := page.does(t, "GET", "/security-group", ""); a.status != http.StatusForbidden {
		t.Errorf("after the key is deleted: got %d %s", a.status, a.text)
	}
}

func TestSignInsThatFail(t *testing.T) {
	r := start(t)
	operator := r.operator()
	wrong, _ := r.signIn(t, keyPair{operator.key, "guessed"})
	unknown, _ := r.signIn(t, keyPair{"EXO000000000000000000000000", "guessed"})
	path, _ := r.signIn(t, keyPair{"../key", operator.secret})
	for _, a := range []answer{wrong, unknown, path} {
		if a.status != http.StatusForbidden || a.text != wrong.text || a.header.Get("Set-Cookie") != "" {
			t.Errorf("got %d %s", a.status, a.text)
		}
	}
	req := r.request(t, "POST", "/session", fmt.Sprintf(`{"key":%q,"secret":%q}`, operator.key, operator.secret))
	req.Header.Set("Origin", "https://evil.example")
	if a := r.send(t, req); a.status != http.StatusForbidden || a.header.Get("Set-Cookie") != "" {
		t.Errorf("from another site: got %d %s", a.status, a.text)
	}
	for _, cookie := range []string{"", "x", strings.Repeat("A", 43), strings.Repeat("A", 4000)} {
		page := &browser{running: r, cookie: cookie, origin: map[string]string{"Sec-Fetch-Site": "same-origin"}}
		if a := page.does(t, "GET", "/security-group", ""); a.status != http.StatusForbidden {
			t.Errorf("the cookie %.10q: got %d %s", cookie, a.status, a.text)
		}
		if a := page.does(t, "GET", "/zone", ""); a.status != http.StatusOK {
			t.Errorf("the cookie %.10q at a public route: got %d %s", cookie, a.status, a.text)
		}
	}
}
