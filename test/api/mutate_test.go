package api_test

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"strings"
)

// object is a JSON object whose fields have an order, and may be there twice.
type object []field

type field struct {
	name  string
	value any
}

// literal is JSON as it stands, also what no encoder would write.
type literal string

func mapsKeys[K comparable, V any](m map[K]V) iter.Seq[K] { return maps.Keys(m) }

// encode writes JSON.
func encode(value any) string {
	switch v := value.(type) {
	case literal:
		return string(v)
	case object:
		parts := make([]string, len(v))
		for i, f := range v {
			parts[i] = encode(f.name) + ":" + encode(f.value)
		}
		return "{" + strings.Join(parts, ",") + "}"
	case []any:
		parts := make([]string, len(v))
		for i, item := range v {
			parts[i] = encode(item)
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // a test's own value
	}
	return string(text)
}

// hostile are values that stand where another was expected.
var hostile = []literal{
	`null`, `true`, `false`, `0`, `-1`, `1e999`, `-0`, `1.5`, `65536`, `4294967296`, `9223372036854775808`, `1E2`,
	`""`, `" "`, `"\u0000"`, `"a\nb"`, `"\ud800"`, `"\udc00\ud800"`, `"\u202e"`, `"../../etc/passwd"`, `"%00"`, `"{id}"`,
	`"<script>alert(1)</script>"`, `"' OR 1=1 --"`, `"${jndi:ldap://x}"`, `"*"`, `"EXO"`, `"0.0.0.0/00"`, `"::ffff:10.0.0.1"`,
	`"fe80::1%eth0"`, `"2026-13-01T00:00:00Z"`, `"9999-12-31T23:59:59Z"`, `"tcp "`, `"TCP"`, `[]`, `{}`, `[[]]`, `[null]`, `{"":null}`, `{"id":1}`,
	literal(`"` + strings.Repeat("x", 256) + `"`), literal(`"` + strings.Repeat("ü", 5000) + `"`),
	literal(strings.Repeat("[", 20) + strings.Repeat("]", 20)), literal(strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20)),
	literal("[" + strings.Repeat("1,", 2000) + "1]"), literal("\"\xff\xfe\""), `tru`, ``, `"`,
}

// assigned are fields that nobody gives to an object of theirs.
var assigned = []field{
	{"id", "00000000-0000-4000-8000-000000000000"},
	{"organization", "other"},
	{"visibility", "public"},
	{"operator", true},
	{"scopes", []any{"admin"}},
	{"created-at", "2020-01-01T00:00:00Z"},
	{"primary", true},
	{"secret", "chosen"},
	{"revision", 1},
	{"__proto__", object{{"admin", true}}},
	{"key", "EXO000000000000000000000000"},
	{"state", "running"},
}

// mutated is the request with one thing wrong, or several.
func (g *generator) mutated(w wanted) wanted {
	for range 1 + g.IntN(2) {
		switch g.IntN(8) {
		case 0:
			w.route = g.mutatedPath(w.route)
		case 1:
			w.route = g.mutatedQuery(w.route)
		case 2:
			w.body = g.mutatedText(w.body)
		case 3:
			w.method = []string{"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "PROPFIND"}[g.IntN(9)]
		default:
			w.body = g.mutatedBody(w)
		}
	}
	return w
}

var (
	segments  = []string{"", ".", "..", "%2e%2e", "%00", "%2F", "a%2Fb", "*", "{id}", "%F0%9F%92%A9", "%ff", "id:attach", ":", "0", "-1", strings.Repeat("a", 3000)}
	arguments = []string{
		"visibility=secret", "limit=-1", "limit=99999999999999999999", "limit=1e3", "before=0", "offset=-1", "labels=x", "labels=:", "ip-address=300.1.1.1",
		"security-group=*", "instance=%00", "visibility=public&visibility=private", "x=%zz", "=", "&&&", "a;b=c", "log=everything", "verdict=maybe", "search=" + strings.Repeat("y", 400),
	}
)

func (g *generator) mutatedPath(route string) string {
	path, query, _ := strings.Cut(route, "?")
	parts := strings.Split(path, "/")
	at := 1 + g.IntN(len(parts)-1)
	parts[at] = segments[g.IntN(len(segments))]
	route = strings.Join(parts, "/")
	if query != "" {
		route += "?" + query
	}
	return route
}

func (g *generator) mutatedQuery(route string) string {
	separator := "?"
	if strings.Contains(route, "?") {
		separator = "&"
	}
	return route + separator + arguments[g.IntN(len(arguments))]
}

// mutatedText damages the body as a connection or a bad encoder would.
func (g *generator) mutatedText(body string) string {
	if body == "" {
		return string(hostile[g.IntN(len(hostile))])
	}
	at := g.IntN(len(body))
	switch g.IntN(5) {
	case 0:
		return body[:at]
	case 1:
		return body[:at] + string(rune(g.IntN(256))) + body[at:]
	case 2:
		return "\xef\xbb\xbf" + body
	case 3:
		return body + body
	}
	return body[:at] + string([]byte{byte(g.IntN(256))}) + body[at+1:]
}

// mutatedBody makes another body for the request, with one part of it wrong.
func (g *generator) mutatedBody(w wanted) string {
	schema := w.operation.Body()
	if schema == nil {
		return string(hostile[g.IntN(len(hostile))])
	}
	body, ok := g.value("", schema).(object)
	if !ok || len(body) == 0 {
		return encode(hostile[g.IntN(len(hostile))])
	}
	return encode(g.mutatedObject(body))
}

func (g *generator) mutatedObject(o object) object {
	at := g.IntN(len(o))
	switch inner := o[at].value.(type) {
	case object:
		if len(inner) > 0 && g.IntN(2) == 0 {
			o[at].value = g.mutatedObject(inner)
			return o
		}
	case []any:
		if len(inner) > 0 && g.IntN(2) == 0 {
			k := g.IntN(len(inner))
			if item, ok := inner[k].(object); ok && len(item) > 0 {
				inner[k] = g.mutatedObject(item)
				return o
			}
			inner[k] = hostile[g.IntN(len(hostile))]
			return o
		}
	}
	switch g.IntN(6) {
	case 0:
		return append(o[:at:at], o[at+1:]...)
	case 1:
		return append(o, o[at])
	case 2:
		return append(o, assigned[g.IntN(len(assigned))])
	case 3:
		o[at].name = strings.ToUpper(o[at].name)
	case 4:
		return append(o, field{fmt.Sprintf("unknown%d", g.IntN(3)), hostile[g.IntN(len(hostile))]})
	default:
		o[at].value = hostile[g.IntN(len(hostile))]
	}
	return o
}
