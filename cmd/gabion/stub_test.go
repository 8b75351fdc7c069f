package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// now is when the tests run the command line.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// stub answers calls of the contract from a table, "METHOD path" to a JSON body,
// and notes the changes that it was asked for.
type stub struct {
	answers map[string]string
	changes []string // "METHOD path body"
	warning string   // header of each answer
	url     string
}

func newStub(t *testing.T, answers map[string]string) *stub {
	t.Helper()
	s := &stub{answers: answers}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// ServeHTTP answers 200 with the table's body; a body that starts with a status
// such as "409 " answers that.
func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/v2")
	if r.Method != http.MethodGet {
		body, _ := io.ReadAll(r.Body)
		s.changes = append(s.changes, strings.TrimSpace(r.Method+" "+path+" "+string(body)))
	}
	answer, known := s.answers[r.Method+" "+path]
	status := http.StatusOK
	switch {
	case !known:
		status, answer = http.StatusNotFound, `{"message":"the stub has no `+r.Method+" "+path+`"}`
	case strings.HasPrefix(answer, "4"):
		status, answer = map[string]int{"400": 400, "403": 403, "404": 404, "409": 409}[answer[:3]], answer[4:]
	}
	w.Header().Set("Content-Type", "application/json")
	if s.warning != "" {
		w.Header().Set("Warning", s.warning)
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, answer)
}

// result is what a run of the command line leaves behind.
type result struct {
	code           int
	stdout, stderr string
}

// gabion runs a command line against the stub.
func (s *stub) gabion(args ...string) result {
	return runWith(map[string]string{
		"EXOSCALE_API_KEY": "EXO000000000000000000000001", "EXOSCALE_API_SECRET": "not-a-secret",
		"EXOSCALE_API_ENDPOINT": s.url + "/v2",
	}, args...)
}

func runWith(environment map[string]string, args ...string) result {
	var stdout, stderr bytes.Buffer
	code := run(context.Background(), env{
		stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr,
		getenv: func(name string) string { return environment[name] },
		now:    func() time.Time { return now },
	}, args)
	return result{code, stdout.String(), stderr.String()}
}

// world is what the stub answers in most tests.
func world() map[string]string {
	success := `{"id":"0b000000-0000-4000-8000-000000000000","state":"success","reference":{"id":"` + webID + `"}}`
	web := `{"id":"` + webID + `","name":"web","visibility":"private","description":"what faces the internet","rules":[
		{"id":"71000000-0000-4000-8000-000000000000","flow-direction":"ingress","protocol":"tcp","start-port":22,"end-port":22,"network":"203.0.113.0/24","description":"office"},
		{"id":"72000000-0000-4000-8000-000000000000","flow-direction":"egress","protocol":"udp","start-port":53,"end-port":53,"network":"::/0"},
		{"id":"73000000-0000-4000-8000-000000000000","flow-direction":"ingress","protocol":"icmp","icmp":{"type":8,"code":0},"security-group":{"id":"` + dbID + `","name":"db"}}]}`
	after := strings.Replace(web, `"rules":[`, `"rules":[{"id":"74000000-0000-4000-8000-000000000000","flow-direction":"ingress","protocol":"tcp","network":"0.0.0.0/0"},`, 1)
	db := `{"id":"` + dbID + `","name":"db","visibility":"private","primary":true,"external-sources":["192.0.2.0/24"]}`
	instance := `{"id":"1a000000-0000-4000-8000-000000000000","name":"web1","state":"running","created-at":"2026-01-01T00:00:00Z","host":"hv1",
		"security-groups":[{"id":"` + webID + `","name":"web"}],"labels":{"role":"front"},
		"interfaces":[{"name":"vnet0","mac":"52:54:00:12:34:56","ipv4":["192.0.2.21"],"ipv6":["2001:db8::21"],"managed":false}]}`
	twin := strings.Replace(instance, "1a000000", "1b000000", 1)
	return map[string]string{
		"GET /security-group":                                  `{"security-groups":[` + db + "," + web + `]}`,
		"POST /security-group":                                 success,
		"GET /security-group/" + webID:                         after,
		"PUT /security-group/" + webID:                         success,
		"DELETE /security-group/" + webID:                      `409 {"message":"group web is in use: instance web1 belongs to it"}`,
		"DELETE /security-group/" + dbID:                       success,
		"GET /security-group/" + webID + "/usage":              `{"primary":false,"instances":[{"id":"1a000000-0000-4000-8000-000000000000","name":"web1"}],"rules":[]}`,
		"GET /security-group/" + dbID + "/usage":               `{"primary":false,"instances":[],"rules":[]}`,
		"POST /security-group/" + webID + "/rules:batch":       success,
		"POST /security-group/" + webID + "/rules":             success,
		"DELETE /security-group/" + webID + "/rules/" + ruleID: success,
		"PUT /security-group/" + webID + ":attach":             success,
		"PUT /security-group/" + webID + ":detach":             `409 {"message":"web1 is running; stop it first"}`,
		"PUT /security-group/" + dbID + ":make-primary":        success,
		"PUT /security-group/" + dbID + ":add-source":          success,
		"PUT /security-group/" + dbID + ":remove-source":       success,
		"GET /template-rule": `{"template-rules":[
			{"name":"ping","title":"PING","description":"Echo requests.","rules":[{"flow-direction":"ingress","protocol":"icmp","icmp":{"type":8,"code":0}},{"flow-direction":"ingress","protocol":"icmpv6","icmp":{"type":128,"code":0}}]},
			{"name":"ssh","title":"SSH","description":"Secure shell.","rules":[{"flow-direction":"ingress","protocol":"tcp","start-port":22,"end-port":22}]}]}`,
		"GET /instance":          `{"instances":[` + instance + "," + strings.Replace(twin, `"web1"`, `"twin"`, 1) + "," + strings.Replace(strings.Replace(twin, "1b", "1c", 1), `"web1"`, `"twin"`, 1) + `]}`,
		"GET /instance/" + webID: instance,
		"POST /instance":         success,
		"DELETE /instance/1a000000-0000-4000-8000-000000000000":    success,
		"PUT /instance/1a000000-0000-4000-8000-000000000000":       success,
		"PUT /instance/1a000000-0000-4000-8000-000000000000:start": success,
		"PUT /instance/1a000000-0000-4000-8000-000000000000:stop":  success,
		"GET /host": `{"hosts":[{"name":"hv1","state":"online","created-at":"2026-01-01T00:00:00Z","revision":42,"last-seen":"2026-03-01T11:59:57Z","version":"v1","instances":3},
			{"name":"hv2","state":"waiting","created-at":"2026-01-01T00:00:00Z","revision":0,"instances":0}]}`,
		"GET /receipt": `{"revision":43,"receipts":[
			{"host":"hv1","revision":42,"current":true,"since":"2026-03-01T11:58:00Z","milliseconds":12,"policy-digest":"f93f4389c3f3"},
			{"host":"hv2","revision":0,"current":false}]}`,
		"POST /host-token": `{"host":"hv1","token":"hv1.secret.hash","expires-at":"2026-03-01T12:15:00Z"}`,
		"DELETE /host/hv2": success,
		"GET /operation/0c000000-0000-4000-8000-000000000000": `{"id":"0c000000-0000-4000-8000-000000000000","state":"pending","message":"waiting for hosts hv2 to enforce it","reference":{"id":"` + webID + `","command":"add-rules-to-security-group"}}`,
	}
}

const (
	webID  = "5a9a3c5e-7c0e-4f3c-9a4c-0c8f2f0f1a11"
	dbID   = "6b000000-0000-4000-8000-000000000000"
	ruleID = "71000000-0000-4000-8000-000000000000"
)
