package store

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"

	"github.com/gabion/gabion"
)

// root is above every key, so that Gabion can share a cluster.
const root = "gabion/"

const (
	schemaKey    = root + "meta/schema"
	epochKey     = root + "meta/epoch"
	bootstrapKey = root + "meta/bootstrap"

	organizationPrefix = root + "organization/"
	operatorPrefix     = root + "operator-key/"
	sessionPrefix      = root + "session/"
	hostPrefix         = root + "host/"
	statusPrefix       = root + "host-status/"
	tokenPrefix        = root + "token/"
)

func orgKey(org string, parts ...string) string {
	return root + "o/" + org + "/" + strings.Join(parts, "/")
}

func groupKey(org, id string) string             { return orgKey(org, "group", id) }
func groupNameKey(org, name string) string       { return orgKey(org, "group-name", name) }
func ruleKey(org, group, id string) string       { return orgKey(org, "rule", group, id) }
func equalRuleKey(org, group, key string) string { return orgKey(org, "rule-key", group, key) }
func instanceKey(org, id string) string          { return orgKey(org, "instance", id) }
func macKey(org string, m gabion.MAC) string     { return orgKey(org, "mac", m.String()) }
func addressKey(org string, a netip.Addr) string { return orgKey(org, "address", a.String()) }
func stateKey(org, instance string) string       { return orgKey(org, "state", instance) }
func primaryKey(org string) string               { return orgKey(org, "primary") }
func operationKey(org, id string) string         { return orgKey(org, "operation", id) }

// usePrefix is above the keys of all who use the group: an empty range means
// that the group can go.
func usePrefix(org, group string) string { return orgKey(org, "use", group, "") }

func instanceUseKey(org, group, instance string) string {
	return usePrefix(org, group) + "instance/" + instance
}

// ruleUsePrefix is above the keys of all rules of the group holder that name the group peer.
func ruleUsePrefix(org, peer, holder string) string {
	return usePrefix(org, peer) + "rule/" + holder + "/"
}

func organizationKey(id string) string             { return organizationPrefix + id }
func hostKey(name string) string                   { return hostPrefix + name }
func statusKey(host string) string                 { return statusPrefix + host }
func hostInstancePrefix(host string) string        { return root + "host-instance/" + host + "/" }
func hostInstanceKey(host, instance string) string { return hostInstancePrefix(host) + instance }
func interfaceKey(host, name string) string        { return root + "interface/" + host + "/" + name }

func tokenKey(hash [32]byte) string { return tokenPrefix + hex.EncodeToString(hash[:]) }

func organizationNameKey(name string) string { return root + "organization-name/" + name }
func apiKeyKey(org, id string) string        { return orgKey(org, "key", id) }
func keyUsedKey(org, id string) string       { return orgKey(org, "key-used", id) }
func keyIndexKey(id string) string           { return root + "key/" + id }
func operatorKey(id string) string           { return operatorPrefix + id }
func sessionKey(hash [32]byte) string        { return sessionPrefix + hex.EncodeToString(hash[:]) }
func auditHeadKey(log string) string         { return orgKey(log, "audit-head") }
func auditKey(log string, n int64) string    { return orgKey(log, "audit", fmt.Sprintf("%016d", n)) }
func sweptKey(org string) string             { return orgKey(org, "operation-swept") }
func replayPrefix(log string) string         { return orgKey(log, "replay", "") }

// place is where a key stands in the layout.
type place struct {
	org  string // empty above organizations
	kind string // such as "rule"
	rest string // such as "GROUP/ID"
}

func placeOf(key []byte) place {
	kind, rest, _ := strings.Cut(strings.TrimPrefix(string(key), root), "/")
	if kind != "o" {
		return place{kind: kind, rest: rest}
	}
	org, rest, _ := strings.Cut(rest, "/")
	kind, rest, _ = strings.Cut(rest, "/")
	return place{org: org, kind: kind, rest: rest}
}

// isID tells whether s can be the id of an object. Nothing else gets into a key
// that is made of what a caller sent.
func isID(s string) bool { return s != "" && !strings.Contains(s, "/") }
