package main

// mutant is one fault: what stands in a file, once, and what to put in its place.
type mutant struct {
	name, file, old, new string
	suite                suite // the tests that should notice first
}

func c(name, file, old, new string) mutant {
	return mutant{"C: " + name, programs + "/" + file, old, new, ofDatapath}
}

func evaluator(name, file, old, new string) mutant {
	return mutant{"evaluator: " + name, "internal/policy/" + file, old, new, ofPolicy}
}

func compiler(name, file, old, new string) mutant {
	return mutant{"compiler: " + name, "internal/datapath/" + file, old, new, ofDatapath}
}

var mutants = []mutant{
	c("VLAN tags inside the frame are not seen", "gabion.c", "return skb->vlan_present || type == bpf_htons(ETH_P_8021Q) ||", "return skb->vlan_present ||"),
	c("the Ethernet source is not checked", "gabion.c", "if (!same_mac(p->eth.h_source, p->nic.mac))", "if (false)"),
	c("broadcast leaves the instance", "gabion.c", "if (is_group_mac(p->eth.h_dest) || is_multicast(&p->ip.destination))", "if (is_multicast(&p->ip.destination))"),
	c("a neighbour's frame is delivered", "gabion.c", "if (!is_group_mac(p->eth.h_dest) && !same_mac(p->eth.h_dest, p->nic.mac))", "if (false)"),
	c("the destination address need not be owned", "gabion.c", "if (!is_own(p, &p->ip.destination))", "if (false)"),
	c("later fragments skip the flow", "gabion.c", "if (p->ip.place == LATER && p->first.reason == PASS_ICMP_ERROR)\n\t\treturn p->first.epoch == p->epoch ?", "if (p->ip.place == LATER)\n\t\treturn p->first.epoch == p->epoch ?"),
	c("fragments of ICMP errors outlive an epoch", "gabion.c", "return p->first.epoch == p->epoch ? PASS_ICMP_ERROR : DROP_FRAGMENT_ORPHAN;", "return PASS_ICMP_ERROR;"),
	c("an ARP sender need not own its address", "arp.h", "if (!probe && !owns_ipv4(p, arp.sender))", "if (false)"),
	c("an ARP reply may be sent from 0.0.0.0", "arp.h", "probe = arp.sender == 0 && arp.operation == bpf_htons(ARP_REQUEST);", "probe = arp.sender == 0;"),
	c("the target of an NA is not checked", "nd.h", "if (p->ip.icmp_type == NEIGHBOR_ADVERTISEMENT && !is_own_ipv6(p, &target))", "if (false)"),
	c("the link-layer option of ND is not checked", "nd.h", "if (option.length != 1 || !same_mac(option.mac, p->nic.mac))", "if (option.length != 1)"),
	c("MLD passes at any hop limit", "nd.h", "static __always_inline enum reason mld_from_instance(struct packet *p)\n{\n\tif (p->ip.place != WHOLE || p->ip.hop_limit != MLD_HOP_LIMIT)", "static __always_inline enum reason mld_from_instance(struct packet *p)\n{\n\tif (p->ip.place != WHOLE)"),
	c("a DHCP client may ask for another MAC", "dhcp.h", "bootp.hardware_length != ETH_ALEN ||\n\t    !same_mac(bootp.client_mac, p->nic.mac))", "bootp.hardware_length != ETH_ALEN)"),
	c("DHCPv6 servers are not stopped", "dhcp.h", " || port == bpf_htons(DHCPV6_SERVER_PORT);", ";"),
	c("strict source routes pass", "parse.h", "if (type == IPOPT_LSRR || type == IPOPT_SSRR)", "if (type == IPOPT_LSRR)"),
	c("routing headers of type 0 pass", "parse.h", "return DROP_SOURCE_ROUTE;\n\tif (ip->protocol == FRAGMENT) {", "return REASON_NONE;\n\tif (ip->protocol == FRAGMENT) {"),
	c("a second fragment header passes", "parse.h", "if (ip->place != WHOLE)\n\t\t\treturn DROP_FRAGMENT_INVALID;", ""),
	c("overlapping fragments pass", "fragment.h", "if (p->ip.fragment_offset < p->first.next) {", "if (false) {"),
	c("fragments need no first", "fragment.h", "if (!first)\n\t\treturn DROP_FRAGMENT_ORPHAN;", "if (!first)\n\t\treturn REASON_NONE;"),
	c("TCP opens with ACK set", "flow.h", "(p->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN", "(p->tcp_flags & TCP_SYN)"),
	c("closed connections live on", "flow.h", "return state == FLOW_CLOSING ? TICKS(10) : TICKS(60);", "return TICKS(60);"),
	c("revoked flows pass", "flow.h", "if (flow && is_still_admitted(p, flow))\n\t\treturn pass_flow(p, table, flow, place);", "if (flow)\n\t\treturn pass_flow(p, table, flow, place);"),
	c("any RST closes", "flow.h", "if (flags & TCP_RST && is_reset_in_window(p, flow))", "if (flags & TCP_RST)"),
	c("errors need not quote the sender's own packet", "quote.h", "if (!same_address(&p->quoted.source, &p->ip.destination))\n\t\treturn false;", ""),
	c("egress is open whatever the rules", "rules.h", "return set && !(set->flags & POLICY_SET_EGRESS_CLOSED);", "return set;"),
	c("ICMPv6 rules admit protocol 58 over IPv4", "rules.h", "return p->key.protocol != other;", "return true;"),
	c("what was admitted is remembered beyond its epoch", "rules.h", "p->asked.epoch = p->epoch;", "p->asked.epoch = 0;"),
	c("what another policy set admitted is remembered", "rules.h", "p->asked.policy_set = p->nic.policy_set;", "p->asked.policy_set = 0;"),
	c("what another NIC's policy admitted is remembered", "rules.h", "p->asked.slot = p->nic.slot;", "p->asked.slot = 0;"),
	c("a checksum may be left anywhere", "offload.h", "if (leaves_checksum(skb) && !is_checksum_in_place(p, checksum_place(skb)))", "if (false)"),
	c("a checksum may be left in a fragment", "offload.h", "if (is_fragment(p))\n\t\treturn false;", ""),
	c("a checksum may be left in ARP", "offload.h", "|| (!is_ip(p) && leaves_checksum(skb))", ""),
	c("fragments may stand for several", "offload.h", "if (is_fragment(p) && skb->gso_size)", "if (false)"),
	c("nobody need hear a detection", "nd.h", "if (said || !is_heard_by_owner(p, target))", "if (said)"),
	c("a detection need not go to its group's MAC", "nd.h", "mac[5] == target->bytes[15];", "true;"),
	c("a detected address counts at once", "nic.h", "return is_looked_for(p, a, &since) && now_ticks() >= since + SECOND;", "return is_looked_for(p, a, &since);"),
	c("EUI-64 addresses of other MACs are learned", "nd.h", "is_link_local(a) && !is_of_mac(a) &&", "is_link_local(a) &&"),
	c("named routers' addresses are learned", "nd.h", "!is_of_mac(a) && !is_listed(a, NAMED_ROUTER)", "!is_of_mac(a)"),
	c("the fifth address takes the place of the fourth", "nic.h", "oldest = state->learned[0].address;", "oldest = state->learned[LEARNED_PER_NIC - 1].address;"),
	c("instances query multicast listeners", "nd.h", " || ip->icmp_type == MLD_QUERY;", ";"),
	c("MLD queries are delivered at any hop limit", "nd.h", "ip->icmp_type == MLD_QUERY && ip->hop_limit == MLD_HOP_LIMIT &&", "ip->icmp_type == MLD_QUERY &&"),
	c("the first answer settles a flow", "flow.h", "return flow->state == FLOW_ESTABLISHED && direction_of(flow) == side_of(p);", "return direction_of(flow) != side_of(p);"),
	c("a SYN+ACK settles a connection", "flow.h", "return flow->state == FLOW_SYN_ACK && next_state(p, flow) == FLOW_ESTABLISHED;", "return next_state(p, flow) == FLOW_SYN_ACK;"),
	c("a full table forgets what it has no room for", "flow.h", "if (bpf_map_update_elem(table, &p->key, &p->flow, BPF_ANY))\n\t\treturn DROP_TABLE_FULL;", "if (bpf_map_update_elem(table, &p->key, &p->flow, BPF_ANY)) {\n\t\tremove_opener(p, place);\n\t\treturn DROP_TABLE_FULL;\n\t}"),
	c("known flows outlive an epoch", "known.h", "flow->epoch == p->epoch &&", ""),
	c("known flows never expire", "known.h", "since(p->now, flow->last_seen) <= timeout_of(&p->key, FLOW_ESTABLISHED) &&", ""),
	c("known flows don't close", "known.h", "(TCP_SYN | TCP_FIN | TCP_RST)", "TCP_SYN"),
	c("closing flows are known", "known.h", "flow->state == FLOW_ESTABLISHED &&", ""),
	c("plain frames may have any MAC", "known.h", "if (!same_mac(p->direction == EGRESS ? eth->h_source : eth->h_dest, nic->mac) || is_group_mac(eth->h_dest))", "if (false)"),
	c("plain frames may go to a group's MAC", "known.h", "nic->mac) || is_group_mac(eth->h_dest))", "nic->mac))"),
	c("plain packets may have any address of IPv4", "known.h", "!has_ipv4(nic, local)", "false"),
	c("plain packets may have any address of IPv6", "known.h", "if (!has_ipv6(nic, &p->key.local))", "if (false)"),
	c("fragments are plain", "known.h", " || ip->frag_off & bpf_htons(IPV4_MORE | IPV4_OFFSET)", ""),
	c("tags are not seen by the short way", "known.h", " || skb->vlan_present", ""),
	c("plain packets may leave a checksum anywhere", "known.h", "(!leaves_checksum(skb) || checksum_place(skb) == place)", "true"),
	c("the place used last is taken", "openers.h", "(unused - least) & ~(unused - least) >> 63", "(unused - least) & (unused - least) >> 63"),
	c("settled flows keep their place", "openers.h", "place.set->tags[i] = 0;", "place.set->used[i] = p->now;"),
	c("nobody's places come in turn", "openers.h", "(__u64)!set->tags[i] << NOBODY | ", ""),
	c("former programs are not asked", "gabion.c", "if (action == TCX_DROP && is_taking_over())\n\t\tbpf_tail_call(skb, &former_to_instance, 0);", ""),
	compiler("flows of another layout are taken for judged", "formerflow.go", "f.Epoch, f.Rule = 0, 0", "f.Rule = 0"),
	compiler("half-open flows of another layout are forgotten", "takeover.go", "f.openers.each(set, openers.add)", ""),
	compiler("expired flows of another layout come back", "takeover.go", "if isExpired(&key, &flow, a.now) {", "if false {"),
	compiler("port ranges end one too early", "ports.go", "uint32(r.End)+1; at < end;", "uint32(r.End); at < end;"),
	compiler("an ICMP rule for any code is one for code 0", "ports.go", "port: uint16(m.Type) << 8, bits: 8}", "port: uint16(m.Type) << 8, bits: 16}"),
	evaluator("an empty group holds everyone", "rules.go", "return peer != nil && (slices.Contains(", "return peer != nil && (len(all) == 0 || slices.Contains("),
	evaluator("RSTs move the end of what was sent", "flow.go", "if !t.numbered || t.has(tcpRST) {", "if !t.numbered {"),
	evaluator("expired flows live for ever", "flow.go", "return now-f.lastSeen <= ticksIn(f.timeout(protocol))", "return true"),
	evaluator("later fragments may begin anywhere", "fragment.go", "case p.fragment.offset < d.next:", "case false:"),
	evaluator("echo replies open flows", "flow.go", "if answer.Verdict() == gabion.Drop || s.isEchoReply() {", "if answer.Verdict() == gabion.Drop {"),
	evaluator("a checksum may be left anywhere", "metadata.go", "return at == p.upperAt+tcpChecksum", "return true"),
	evaluator("extension headers don't move the checksum", "ipv6.go", "p.upperAt += size", "p.upperAt += 0"),
	evaluator("a detected address counts at once", "learned.go", "learnedAfter = 1 //", "learnedAfter = 0 //"),
	evaluator("a detection need not go to its group's MAC", "learned.go", "w.ethernet.destination == gabion.MAC{0x33, 0x33, group[12], group[13], group[14], group[15]}", "isGroupMAC(w.ethernet.destination)"),
	evaluator("answers settle a flow", "flow.go", "case f.settled || d != f.direction:", "case f.settled:"),
	evaluator("fragments of ICMP errors outlive an epoch", "fragment.go", "case d.epoch != w.epoch:", "case false:"),
	evaluator("members of other organizations count", "rules.go", "key := organizationAddress{m.Organization, a}", "key := organizationAddress{address: a}"),
}
