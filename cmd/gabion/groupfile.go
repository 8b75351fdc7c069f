package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/client/rest"
)

// groupFile is a group as one writes it into a file: what it is called and what it
// lets through. Its members are not part of it.
type groupFile struct {
	Name        string     `yaml:"name"`
	Description string     `yaml:"description,omitempty"`
	Ingress     []ruleFile `yaml:"ingress,omitempty"`
	Egress      []ruleFile `yaml:"egress,omitempty"`
}

// ruleFile is one rule in a file, or several of one kind where it lists ports.
type ruleFile struct {
	Protocol    string    `yaml:"protocol"`
	Ports       portsFile `yaml:"ports,omitempty"`
	ICMP        *icmpFile `yaml:"icmp,omitempty"`
	From        string    `yaml:"from,omitempty"` // a network
	FromGroup   string    `yaml:"from-group,omitempty"`
	To          string    `yaml:"to,omitempty"`
	ToGroup     string    `yaml:"to-group,omitempty"`
	Description string    `yaml:"description,omitempty"`
}

type icmpFile struct {
	Type int  `yaml:"type"`
	Code *int `yaml:"code,omitempty"`
}

// portsFile is 443, 8000-8100, or a list of such.
type portsFile []string

// UnmarshalYAML takes a number, a text or a list of them.
func (p *portsFile) UnmarshalYAML(decode func(any) error) error {
	var value any
	if err := decode(&value); err != nil {
		return err
	}
	list, isList := value.([]any)
	if !isList {
		list = []any{value}
	}
	for _, item := range list {
		*p = append(*p, fmt.Sprint(item))
	}
	return nil
}

// MarshalYAML writes one port or range as it is, not as a list of one.
func (p portsFile) MarshalYAML() (any, error) {
	if len(p) != 1 {
		return []string(p), nil
	}
	if n, err := strconv.Atoi(p[0]); err == nil {
		return n, nil
	}
	return p[0], nil
}

// exported is a group as a file says it.
func exported(g rest.SecurityGroup) groupFile {
	file := groupFile{Name: g.Name, Description: g.Description}
	for _, r := range g.Rules {
		if r.FlowDirection == rest.FlowDirectionEgress {
			file.Egress = append(file.Egress, exportedRule(r))
		} else {
			file.Ingress = append(file.Ingress, exportedRule(r))
		}
	}
	return file
}

func exportedRule(r rest.SecurityGroupRule) ruleFile {
	file := ruleFile{Protocol: string(r.Protocol), Description: r.Description}
	if ports := (gabion.PortRange{Start: uint16(r.StartPort), End: uint16(r.EndPort)}); !ports.IsAny() {
		file.Ports = portsFile{ports.String()}
	}
	if r.ICMP != nil && r.ICMP.Type != -1 {
		file.ICMP = &icmpFile{Type: r.ICMP.Type}
		if r.ICMP.Code != -1 {
			file.ICMP.Code = &r.ICMP.Code
		}
	}
	network, group := &file.From, &file.FromGroup
	if r.FlowDirection == rest.FlowDirectionEgress {
		network, group = &file.To, &file.ToGroup
	}
	*network = r.Network
	if r.SecurityGroup != nil {
		*group = r.SecurityGroup.Name
	}
	return file
}

// writeGroups writes groups as YAML documents.
func writeGroups(w io.Writer, files []groupFile) error {
	encoder := yaml.NewEncoder(w, yaml.IndentSequence(true))
	for _, f := range files {
		if err := encoder.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

// readGroups reads YAML documents, and refuses fields that nobody knows.
func readGroups(name string, text []byte) ([]groupFile, error) {
	if err := checkPlain(name, text); err != nil {
		return nil, err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict())
	var files []groupFile
	for {
		var f groupFile
		err := decoder.Decode(&f)
		switch {
		case errors.Is(err, io.EOF):
			if len(files) == 0 {
				return nil, fmt.Errorf("%s holds no group; gabion group export shows how one is written", name)
			}
			return files, nil
		case err != nil:
			return nil, fmt.Errorf("read %s: %s", name, yaml.FormatError(err, false, false))
		}
		if f.Name == "" {
			return nil, fmt.Errorf("%s: group %d has no name", name, len(files)+1)
		}
		files = append(files, f)
	}
}

// requests are the rules that the file asks for; named finds the id of a group.
func (f groupFile) requests(named func(string) (string, error)) ([]rest.AddRuleRequest, error) {
	var requests []rest.AddRuleRequest
	for _, list := range []struct {
		direction rest.FlowDirection
		rules     []ruleFile
	}{{rest.FlowDirectionIngress, f.Ingress}, {rest.FlowDirectionEgress, f.Egress}} {
		for i, r := range list.rules {
			made, err := r.requests(list.direction, named)
			if err != nil {
				return nil, fmt.Errorf("group %s, %s rule %d: %w", f.Name, list.direction, i+1, err)
			}
			requests = append(requests, made...)
		}
	}
	return requests, nil
}

func (r ruleFile) requests(direction rest.FlowDirection, named func(string) (string, error)) ([]rest.AddRuleRequest, error) {
	protocol, err := gabion.ParseProtocol(r.Protocol)
	if err != nil {
		return nil, err
	}
	request := rest.AddRuleRequest{FlowDirection: direction, Protocol: rest.Protocol(protocol.String()), Description: r.Description}
	peer, err := r.addPeer(&request, named)
	if err != nil {
		return nil, err
	}
	if r.ICMP != nil {
		request.ICMP = &rest.ICMPRequest{Type: &r.ICMP.Type, Code: r.ICMP.Code}
	}
	ranges, err := parsePorts(r.Ports)
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "--"))
	}
	requests := make([]rest.AddRuleRequest, len(ranges))
	for i, ports := range ranges {
		rule := gabion.Rule{Protocol: protocol, Ports: ports, ICMP: r.ICMP.match(protocol), Peer: peer, Description: r.Description}
		if err := rule.Validate(); err != nil {
			return nil, err
		}
		requests[i] = request
		if !ports.IsAny() {
			start, end := int(ports.Start), int(ports.End)
			requests[i].StartPort, requests[i].EndPort = &start, &end
		}
	}
	return requests, nil
}

// match is what a rule of the protocol asks of ICMP: without a word about it, any.
func (f *icmpFile) match(protocol gabion.Protocol) gabion.ICMPMatch {
	switch {
	case f == nil && protocol.IsICMP():
		return gabion.AnyICMP
	case f == nil:
		return gabion.ICMPMatch{}
	case f.Code == nil:
		return gabion.ICMPMatch{Type: f.Type, Code: -1}
	}
	return gabion.ICMPMatch{Type: f.Type, Code: *f.Code}
}

// addPeer sets the other end: from for ingress, to for egress, a network as it is kept,
// or a group.
func (r ruleFile) addPeer(request *rest.AddRuleRequest, named func(string) (string, error)) (gabion.Peer, error) {
	network, group, word, others := r.From, r.FromGroup, "from", r.To+r.ToGroup
	if request.FlowDirection == rest.FlowDirectionEgress {
		network, group, word, others = r.To, r.ToGroup, "to", r.From+r.FromGroup
	}
	switch {
	case others != "":
		return gabion.Peer{}, fmt.Errorf("%s rules have %s or %s-group", request.FlowDirection, word, word)
	case (network == "") == (group == ""):
		return gabion.Peer{}, fmt.Errorf("give either %s, a network, or %s-group, a group", word, word)
	case network != "":
		parsed, err := gabion.ParseNetwork(word, network)
		request.Network = parsed.String()
		return gabion.Peer{Network: parsed}, err
	}
	id, err := named(group)
	request.SecurityGroup = &rest.PeerGroupRequest{ID: id}
	return gabion.Peer{Group: id}, err
}
