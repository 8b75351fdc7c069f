/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Fragments: docs/verdicts.md, "Fragments". Only the first says which flow it is
 * of, so the others must follow it in order, without gap and without overlap.
 */
#ifndef GABION_FRAGMENT_H
#define GABION_FRAGMENT_H

#include "flow.h"
#include "maps.h"
#include "parse.h"

#define FRAGMENT_TIMEOUT TICKS(30)
#define FRAGMENT_UNIT    8
#define MAX_DATAGRAM     65535

static __always_inline bool is_fragment(const struct packet *p)
{
	return p->ip.place == FIRST || p->ip.place == LATER;
}

static __always_inline __u32 fragment_length(const struct packet *p)
{
	return p->ip.end - p->ip.body;
}

static __always_inline __u32 fragment_end(const struct packet *p)
{
	return p->ip.fragment_offset + fragment_length(p);
}

/* What is known of datagrams whose fragments the NIC sends or gets. */
static __always_inline void *datagrams_of(const struct packet *p)
{
	return bpf_map_lookup_elem(&fragments, &p->nic.slot);
}

static __always_inline void set_datagram(struct packet *p)
{
	p->datagram.source = p->ip.source;
	p->datagram.destination = p->ip.destination;
	p->datagram.id = p->ip.fragment_id;
	p->datagram.direction = p->direction;
	p->datagram.protocol = p->ip.version == 4 ? p->ip.protocol : 0;
}

static __always_inline bool is_valid_fragment(const struct packet *p)
{
	if (p->ip.more && fragment_length(p) % FRAGMENT_UNIT)
		return false;
	if (p->ip.place == FIRST)
		return true;
	if (p->ip.more && fragment_length(p) == 0)
		return false;
	/* A fragment at 8 would write over TCP's flags (RFC 1858). */
	if (p->ip.version == 4 && p->ip.protocol == IPPROTO_TCP && p->ip.fragment_offset == FRAGMENT_UNIT)
		return false;
	return fragment_end(p) <= MAX_DATAGRAM;
}

/* Makes of a later fragment the packet that it is judged as. */
static __always_inline void be_like_first(struct packet *p)
{
	p->ip.protocol = p->first.protocol;
	p->ip.sport = p->first.sport;
	p->ip.dport = p->first.dport;
	p->ip.icmp_type = p->first.icmp_type;
	p->ip.icmp_code = p->first.icmp_code;
	p->tcp_flags = TCP_ACK;
	p->payload = 0;
}

/* Looks whether the fragment may be judged at all; a later one becomes what the first said. */
CHECKED_ONCE enum reason place_fragment(struct packet *p)
{
	struct fragment *first;
	void *datagrams;

	if (!p)
		return DROP_FRAGMENT_INVALID;
	if (!is_valid_fragment(p))
		return DROP_FRAGMENT_INVALID;
	set_datagram(p);
	if (p->ip.place == FIRST)
		return REASON_NONE;
	datagrams = datagrams_of(p);
	if (!datagrams)
		return DROP_FRAGMENT_ORPHAN;
	first = bpf_map_lookup_elem(datagrams, &p->datagram);
	if (!first)
		return DROP_FRAGMENT_ORPHAN;
	p->first = *first;
	if (since(p->now, p->first.begun) > FRAGMENT_TIMEOUT || p->ip.fragment_offset > p->first.next)
		return DROP_FRAGMENT_ORPHAN;
	if (p->ip.fragment_offset < p->first.next) {
		bpf_map_delete_elem(datagrams, &p->datagram);
		return DROP_FRAGMENT_INVALID;
	}
	be_like_first(p);
	return REASON_NONE;
}

static __always_inline void expect_more(struct packet *p, void *datagrams, enum reason reason)
{
	if (p->ip.place == FIRST) {
		p->first.begun = p->now;
		p->first.epoch = p->epoch;
		p->first.protocol = p->ip.protocol;
		p->first.sport = p->ip.sport;
		p->first.dport = p->ip.dport;
		p->first.icmp_type = p->ip.icmp_type;
		p->first.icmp_code = p->ip.icmp_code;
		p->first.reason = reason;
	}
	p->first.next = fragment_end(p);
	bpf_map_update_elem(datagrams, &p->datagram, &p->first, BPF_ANY);
}

/* Keeps what the rest of the datagram needs to know of the fragment's verdict. */
CHECKED_ONCE int follow_fragment(struct packet *p, enum reason reason)
{
	void *datagrams;

	if (!p)
		return 0;
	datagrams = datagrams_of(p);
	if (!datagrams)
		return 0;
	if (passes(reason) && p->ip.more)
		expect_more(p, datagrams, reason);
	else if (passes(reason) || p->ip.place == FIRST)
		bpf_map_delete_elem(datagrams, &p->datagram);
	return 0;
}

#endif
