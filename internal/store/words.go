package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/gabion/gabion"
)

// What the audit log says of objects, in the words of the API: they are read by
// people and programs that know that.

type groupWords struct {
	ID          string         `json:"id"`
	Name        string         `json:"name"`
	Description string         `json:"description,omitempty"`
	Sources     []netip.Prefix `json:"external-sources,omitempty"`
	Omitted     int            `json:"external-sources-omitted,omitempty"` // that did not change
}

type referenceWords struct {
	ID string `json:"id"`
}

type ruleWords struct {
	ID          string          `json:"id"`
	Direction   string          `json:"flow-direction"`
	Protocol    string          `json:"protocol"`
	Start       uint16          `json:"start-port,omitempty"`
	End         uint16          `json:"end-port,omitempty"`
	ICMP        *icmpRecord     `json:"icmp,omitempty"`
	Network     string          `json:"network,omitempty"`
	Group       *referenceWords `json:"security-group,omitempty"`
	Description string          `json:"description,omitempty"`
}

type rulesWords struct {
	Rules      []ruleWords `json:"rules"`
	Omitted    int         `json:"rules-omitted,omitempty"`
	Unreadable []string    `json:"rules-unreadable,omitempty"` // ids
}

type nicWords struct {
	Name    string       `json:"name"`
	MAC     string       `json:"mac"`
	IPv4    []netip.Addr `json:"ipv4,omitempty"`
	IPv6    []netip.Addr `json:"ipv6,omitempty"`
	Managed bool         `json:"managed,omitempty"`
}

type instanceWords struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Host       string            `json:"host,omitempty"`
	Groups     []referenceWords  `json:"security-groups"`
	Interfaces []nicWords        `json:"interfaces,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	Protected  bool              `json:"protected,omitempty"`
}

type stateWords struct {
	ID    string               `json:"id"`
	State gabion.InstanceState `json:"state"`
}

type organizationWords struct {
	ID     string       `json:"id"`
	Name   string       `json:"name"`
	Quotas quotasRecord `json:"quotas"`
	Hosts  []string     `json:"hosts"`
}

type keyWords struct {
	ID       string         `json:"key"`
	Name     string         `json:"name"`
	Scopes   []gabion.Scope `json:"scopes"`
	Operator bool           `json:"operator,omitempty"`
	Expires  time.Time      `json:"expires-at,omitzero"`
}

type hostWords struct {
	Name    string    `json:"name"`
	Expires time.Time `json:"token-expires-at,omitzero"`
}

// shownSources is how many external sources are all named; of more, only those that change.
const shownSources = 100

// groupChange is what a group was and what it becomes.
func groupChange(old, g gabion.Group) (before, after groupWords) {
	return groupSaid(old, g.Sources), groupSaid(g, old.Sources)
}

// groupSaid tells of a group; of many sources, those that the others lack.
func groupSaid(g gabion.Group, others []netip.Prefix) groupWords {
	w := groupWords{ID: g.ID, Name: g.Name, Description: g.Description, Sources: g.Sources}
	if len(g.Sources) > shownSources {
		w.Sources = slices.DeleteFunc(slices.Clone(g.Sources), func(p netip.Prefix) bool { return slices.Contains(others, p) })
		w.Omitted = len(g.Sources) - len(w.Sources)
	}
	return w
}

// shownRules bounds the rules that one record names: about 50 kB.
const shownRules = 250

// rulesSaid tells of rules, and of those that can't be read by their ids.
func rulesSaid(rules []gabion.Rule, unreadable ...string) any {
	if len(rules)+len(unreadable) == 0 {
		return nil
	}
	w := rulesWords{Rules: []ruleWords{}, Omitted: max(0, len(rules)-shownRules), Unreadable: unreadable}
	for i := range rules[:min(len(rules), shownRules)] {
		w.Rules = append(w.Rules, ruleSaid(&rules[i]))
	}
	return w
}

func ruleSaid(r *gabion.Rule) ruleWords {
	w := ruleWords{
		ID: r.ID, Direction: r.Direction.String(), Protocol: r.Protocol.String(),
		Start: r.Ports.Start, End: r.Ports.End, Description: r.Description,
	}
	if r.Protocol.IsICMP() {
		w.ICMP = &icmpRecord{r.ICMP.Type, r.ICMP.Code}
	}
	if r.Peer.IsGroup() {
		w.Group = &referenceWords{r.Peer.Group}
	} else {
		w.Network = r.Peer.Network.String()
	}
	return w
}

func instanceSaid(i gabion.Instance) instanceWords {
	w := instanceWords{ID: i.ID, Name: i.Name, Host: i.Host, Labels: i.Labels, Protected: i.Protected}
	for _, group := range i.Groups {
		w.Groups = append(w.Groups, referenceWords{group})
	}
	for _, n := range i.NICs {
		said := nicWords{Name: n.Interface, MAC: n.MAC.String(), Managed: n.Managed}
		for _, a := range n.Addresses {
			if a.Is4() {
				said.IPv4 = append(said.IPv4, a)
			} else {
				said.IPv6 = append(said.IPv6, a)
			}
		}
		w.Interfaces = append(w.Interfaces, said)
	}
	return w
}

func organizationSaid(o gabion.Organization) organizationWords {
	return organizationWords{ID: o.ID, Name: o.Name, Quotas: quotasRecord(o.Quotas), Hosts: append([]string{}, o.Hosts...)}
}

func keySaid(k gabion.Key) keyWords {
	return keyWords{ID: k.ID, Name: k.Name, Scopes: k.Scopes, Operator: k.Operator, Expires: k.Expires}
}

// mostWords is how many bytes a record has for an object.
const mostWords = 64 << 10

type tooLong struct {
	Bytes int    `json:"omitted-bytes"`
	Hash  string `json:"sha256"`
}

// words is the object as JSON; of a larger one, what it can be known by.
func words(object any) (json.RawMessage, error) {
	if object == nil {
		return nil, nil
	}
	text, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("encode audit record: %w", err)
	}
	if len(text) <= mostWords {
		return text, nil
	}
	sum := sha256.Sum256(text)
	return json.Marshal(tooLong{Bytes: len(text), Hash: hex.EncodeToString(sum[:])})
}
