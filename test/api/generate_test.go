package api_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/gabion/gabion/test/contract"
)

// generator makes requests out of the contract, from a source of chance that a seed
// repeats.
type generator struct {
	*rand.Rand
	operations []contract.Operation
	ids        []string // of objects that there are, or were
	keys       []string // of API keys, likewise
}

// wanted is a request before it is signed.
type wanted struct {
	operation     contract.Operation
	method, route string // with the escaped path below the base, and the query
	body          string
}

func newGenerator(seed uint64, operations []contract.Operation) *generator {
	return &generator{Rand: rand.New(rand.NewPCG(seed, 0)), operations: operations}
}

// valid is a request for the operation as the contract wants it.
func (g *generator) valid(o contract.Operation) wanted {
	w := wanted{operation: o, method: o.Method, route: o.Path}
	query := url.Values{}
	for _, ref := range o.Parameters {
		p := ref.Value
		switch value := fmt.Sprint(g.value(p.Name, p.Schema.Value)); {
		case p.In == openapi3.ParameterInPath:
			w.route = strings.Replace(w.route, "{"+p.Name+"}", url.PathEscape(value), 1)
		case p.In == openapi3.ParameterInQuery && g.IntN(3) == 0:
			query.Set(p.Name, value)
		}
	}
	if len(query) > 0 {
		w.route += "?" + query.Encode()
	}
	if schema := o.Body(); schema != nil {
		w.body = encode(g.value("", schema))
	}
	return w
}

// value is a value of the schema. The name of what it is for helps to find one
// that also means something.
func (g *generator) value(name string, s *openapi3.Schema) any {
	for _, part := range s.AllOf {
		return g.value(name, part.Value)
	}
	switch {
	case len(s.Enum) > 0:
		return s.Enum[g.IntN(len(s.Enum))]
	case s.Type.Is("object"):
		return g.object(s)
	case s.Type.Is("array"):
		return g.array(name, s)
	case s.Type.Is("string"):
		return g.text(name, s)
	case s.Type.Is("boolean"):
		return g.IntN(2) == 0
	case s.Type.Is("integer"):
		return g.number(s)
	}
	return nil
}

func (g *generator) number(s *openapi3.Schema) int64 {
	low, high := int64(-1000), int64(1_000_000)
	if s.Min != nil {
		low = int64(*s.Min)
	}
	if s.Max != nil {
		high = int64(*s.Max)
	}
	switch g.IntN(4) {
	case 0:
		return low
	case 1:
		return high
	}
	return low + g.Int64N(high-low+1)
}

func (g *generator) array(name string, s *openapi3.Schema) []any {
	n := int(s.MinItems) + g.IntN(3)
	if s.MaxItems != nil {
		n = min(n, int(*s.MaxItems))
	}
	list := []any{}
	for range n {
		list = append(list, g.value(name, s.Items.Value))
	}
	return list
}

func (g *generator) object(s *openapi3.Schema) object {
	var fields object
	for _, name := range slices.Sorted(mapsKeys(s.Properties)) {
		if slices.Contains(s.Required, name) || g.IntN(2) == 0 {
			fields = append(fields, field{name, g.value(name, s.Properties[name].Value)})
		}
	}
	if s.AdditionalProperties.Schema != nil {
		for i := range g.IntN(3) {
			fields = append(fields, field{fmt.Sprintf("key%d", i), g.value("", s.AdditionalProperties.Schema.Value)})
		}
	}
	return fields
}

// texts are values for fields whose schema is just a string.
var texts = map[string][]string{
	"network": {"0.0.0.0/0", "::/0", "10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "203.0.113.0/24"},
	"cidr":    {"10.1.0.0/16", "192.0.2.9", "2001:db8:1::/48"},
	"mac":     {"52:54:00:00:00:01", "52:54:00:00:00:02", "52:54:00:00:00:03"},
	"ipv4":    {"10.0.0.7", "10.0.0.8"}, "ipv6": {"2001:db8::7", "2001:db8::8"},
	"host": {"hv1", "hv2"}, "hosts": {"hv1", "*"}, "search": {"w", "10."},
	"ip-address": {"10.0.0.7", "2001:db8::7"}, "labels": {"role:db", "a:b,c:d"},
	"from": {"10.0.0.7", "192.0.2.1", "g1"}, "to": {"10.0.0.8", "192.0.2.2", "g2"},
}

func (g *generator) text(name string, s *openapi3.Schema) string {
	switch {
	case s.Format == "uuid":
		return g.known(g.ids, "00000000-0000-4000-8000-000000000000")
	case s.Format == "date-time":
		return time.Now().Add(time.Duration(1+g.IntN(1000)) * time.Hour).UTC().Format(time.RFC3339)
	case strings.HasPrefix(s.Pattern, "^EXO"):
		return g.known(g.keys, "EXO000000000000000000000000")
	case len(texts[name]) > 0:
		return texts[name][g.IntN(len(texts[name]))]
	case s.MinLength == 0 && g.IntN(4) == 0:
		return ""
	}
	return fmt.Sprintf("g%d", g.IntN(40))
}

// known is something that there is, or now and then nothing.
func (g *generator) known(all []string, none string) string {
	if len(all) == 0 || g.IntN(8) == 0 {
		return none
	}
	return all[g.IntN(len(all))]
}
