/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * ICMP errors: they pass with the flow whose packet they quote.
 */
#ifndef GABION_QUOTE_H
#define GABION_QUOTE_H

#include "flow.h"
#include "parse.h"

static __always_inline bool is_error(const struct layers *ip)
{
	if (!is_icmp(ip))
		return false;
	if (ip->version == 6)
		return ip->icmp_type >= ICMPV6_UNREACHABLE && ip->icmp_type <= ICMPV6_PARAMETER;
	return ip->icmp_type == ICMP_UNREACHABLE || ip->icmp_type == ICMP_SOURCE_QUENCH ||
	       ip->icmp_type == ICMP_TIME_EXCEEDED || ip->icmp_type == ICMP_PARAMETER;
}

static __always_inline bool parse_quoted_ipv4(struct __sk_buff *skb, struct layers *quoted)
{
	struct iphdr header;

	if (!load_of(skb, quoted, quoted->upper, &header, sizeof(header)))
		return false;
	if (header.version != 4 || header.ihl < 5)
		return false;
	quoted->upper += header.ihl * 4;
	read_ipv4(quoted, &header);
	return true;
}

static __always_inline bool parse_quoted_ipv6(struct __sk_buff *skb, struct layers *quoted)
{
	struct ipv6hdr header;

	if (!load_of(skb, quoted, quoted->upper, &header, sizeof(header)) || header.version != 6)
		return false;
	quoted->upper += sizeof(header);
	read_ipv6(quoted, &header);
	return parse_extensions(skb, quoted) == REASON_NONE;
}

/* The quotation is cut somewhere: its own lengths mean nothing, and 8 bytes of the upper layer are all there may be. */
static __always_inline bool parse_quoted(struct __sk_buff *skb, struct packet *p)
{
	struct layers *quoted = &p->quoted;
	struct icmp upper;

	quoted->upper = p->ip.upper + sizeof(struct icmp);
	quoted->end = p->ip.end;
	if (!(p->ip.version == 4 ? parse_quoted_ipv4(skb, quoted) : parse_quoted_ipv6(skb, quoted)))
		return false;
	if (quoted->place == LATER || !load_of(skb, quoted, quoted->upper, &upper, sizeof(upper)))
		return false;
	quoted->sport = quoted->dport = 0;
	if (quoted->protocol == IPPROTO_TCP || quoted->protocol == IPPROTO_UDP) {
		quoted->sport = ((__be16 *)&upper)[0];
		quoted->dport = ((__be16 *)&upper)[1];
	}
	if (is_icmp(quoted)) {
		quoted->icmp_type = upper.type;
		quoted->sport = upper.id;
	}
	return is_tracked(quoted);
}

/* The quoted packet went the other way, between the same two; to the instance, routers on the way may speak too. */
static __always_inline bool is_quoted_from_here(const struct packet *p)
{
	if (!same_address(&p->quoted.source, &p->ip.destination))
		return false;
	return p->direction == INGRESS || same_address(&p->quoted.destination, &p->ip.source);
}

CHECKED_ONCE bool is_error_of_live_flow(struct __sk_buff *skb, struct packet *p)
{
	struct flow *flow;
	void *table;

	if (!p)
		return false;
	table = bpf_map_lookup_elem(&flows, &p->nic.slot);
	if (!table || !parse_quoted(skb, p) || !is_quoted_from_here(p))
		return false;
	set_key(p, &p->quoted, !p->direction);
	flow = find(p, table, place_of(p));
	return flow && is_still_admitted(p, flow);
}

#endif
