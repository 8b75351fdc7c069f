package api_test

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gabion/gabion/test/contract"
)

var (
	generatedRequests = flag.Int("requests", 2000, "how many generated requests to send")
	generatedSeed     = flag.Uint64("seed", 0, "what to generate requests from; 0 is by chance")
)

// askers send generated requests at the same time.
const askers = 8

// TestGeneratedRequests sends requests that are made out of the contract, half of
// them with something wrong, by keys that may do everything, little and nothing.
// No answer is a server's error, and each is one that the contract knows.
func TestGeneratedRequests(t *testing.T) {
	seed := *generatedSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	r := start(t)
	f := &fuzzed{running: r, callers: callersOf(t, r)}
	var group sync.WaitGroup
	for i := range askers {
		g := newGenerator(seed+uint64(i), operations(t))
		requests := *generatedRequests / askers
		if i < *generatedRequests%askers {
			requests++
		}
		group.Go(func() { f.send(g, requests) })
	}
	group.Wait()
	fmt.Printf("%d requests, %d server errors, %d contract breaches, seed %d\n", f.sent, len(f.errors), len(f.breaches), seed)
	t.Logf("answers by status: %v", f.statuses)
	for _, told := range slices.Concat(f.errors, f.breaches) {
		t.Error(told)
	}
	if f.sent != *generatedRequests || f.statuses[200] < f.sent/20 || f.statuses[400] < f.sent/20 {
		t.Errorf("%d requests got answers with these statuses: %v; want of everything", f.sent, f.statuses)
	}
}

// callersOf are keys of all kinds: an operator's, those of an organization with
// little room, and one that nobody knows.
func callersOf(t *testing.T, r *running) []keyPair {
	t.Helper()
	org := r.reference(t, "POST", "/organization",
		`{"name":"tenant","hosts":["hv1"],"quotas":{"security-groups":30,"rules-per-security-group":30,"instances":30,"api-keys":30}}`)
	operator := keyPair{r.env["EXOSCALE_API_KEY"], r.env["EXOSCALE_API_SECRET"]}
	admin := r.newKey(t, "/organization/"+org+"/api-key", `{"name":"admin","scopes":["admin"]}`)
	return []keyPair{
		operator, operator, operator, admin, admin, admin, admin, admin, admin,
		r.newKey(t, "/organization/"+org+"/api-key", `{"name":"reader","scopes":["read"]}`),
		r.newKey(t, "/organization/"+org+"/api-key", `{"name":"rules","scopes":["rules"]}`),
		r.newKey(t, "/organization/"+org+"/api-key", `{"name":"instances","scopes":["instances"]}`),
		{"EXO000000000000000000000000", "guessed"},
	}
}

// fuzzed is a server that generated requests are sent to, and what it answered.
type fuzzed struct {
	*running
	callers []keyPair

	mu               sync.Mutex
	sent             int
	statuses         map[int]int
	errors, breaches []string
	ids, keys        []string
}

func (f *fuzzed) send(g *generator, requests int) {
	for range requests {
		f.learn(g)
		w := g.valid(g.operations[g.IntN(len(g.operations))])
		if g.IntN(2) == 0 {
			w = g.mutated(w)
		}
		f.ask(g, w)
	}
}

// learn tells the generator what there is by now.
func (f *fuzzed) learn(g *generator) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g.ids, g.keys = slices.Clone(f.ids), slices.Clone(f.keys)
}

func (f *fuzzed) ask(g *generator, w wanted) {
	req, err := http.NewRequest(w.method, f.endpoint+w.route, strings.NewReader(w.body))
	if err != nil {
		f.note(w, 0, "") // what no client can send
		return
	}
	s := f.signingOf(req, w.body)
	caller := f.callers[g.IntN(len(f.callers))]
	s.credential, s.secret = caller.key, caller.secret
	switch g.IntN(40) {
	case 0:
		s.body += " "
	case 1:
		s.args = nil
	}
	if g.IntN(40) > 0 {
		req.Header.Set("Authorization", s.header())
	}
	transport := f.http.Transport.(*contract.Transport).Next
	resp, err := transport.RoundTrip(req)
	if err != nil {
		f.fail(&f.errors, w, fmt.Sprintf("no answer: %v", err))
		return
	}
	defer resp.Body.Close()
	if resp.Header.Get("Content-Type") == "text/event-stream" {
		f.note(w, resp.StatusCode, "")
		return
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		f.fail(&f.errors, w, fmt.Sprintf("no whole answer: %v", err))
		return
	}
	if err := contract.Check(req, resp, body); err != nil {
		f.fail(&f.breaches, w, fmt.Sprintf("answered %d %s: %v", resp.StatusCode, body, err))
	}
	if err := acceptedAgainst(req, resp.StatusCode, w); err != nil {
		f.fail(&f.breaches, w, fmt.Sprintf("answered %d %s, but: %v", resp.StatusCode, body, err))
	}
	if resp.StatusCode >= 500 {
		f.fail(&f.errors, w, fmt.Sprintf("answered %d %s", resp.StatusCode, body))
	}
	f.note(w, resp.StatusCode, string(body))
}

// acceptedAgainst tells what the contract has against a request for one of our own
// operations that was accepted. The public API's are more patient.
func acceptedAgainst(req *http.Request, status int, w wanted) error {
	if status >= 300 || req.Method != w.operation.Method || !slices.Contains(w.operation.Tags, "extension") {
		return nil
	}
	return contract.CheckRequest(req, w.body)
}

func (f *fuzzed) fail(list *[]string, w wanted, how string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(*list) < 50 {
		*list = append(*list, fmt.Sprintf("%s %s %s %s", w.method, shorten(w.route), shorten(w.body), how))
	}
}

// learned is how many ids are remembered.
const learned = 200

var (
	someID  = regexp.MustCompile(`"id":"([0-9a-f-]{36})"`)
	someKey = regexp.MustCompile(`"key":"(EXO[0-9a-f]{24})","[^}]*"secret"`)
)

// note counts an answer, and remembers what it tells of. The organization that the
// askers are in is not among that: it tells of no change.
func (f *fuzzed) note(w wanted, status int, body string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent++
	if f.statuses == nil {
		f.statuses = map[int]int{}
	}
	f.statuses[status]++
	if status != http.StatusOK || w.method == "GET" && !strings.HasPrefix(w.route, "/security-group") {
		return
	}
	for _, found := range someID.FindAllStringSubmatch(body, 3) {
		f.ids = append(f.ids, found[1])
	}
	for _, found := range someKey.FindAllStringSubmatch(body, 3) {
		f.keys = append(f.keys, found[1])
	}
	f.ids = f.ids[max(0, len(f.ids)-learned):]
	f.keys = f.keys[max(0, len(f.keys)-learned):]
}
