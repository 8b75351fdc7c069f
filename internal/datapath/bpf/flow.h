/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Flows: docs/verdicts.md, "Flows". What is settled lies in the NIC's table,
 * everything else in its half_open.
 */
#ifndef GABION_FLOW_H
#define GABION_FLOW_H

#include "clock.h"
#include "nic.h"
#include "openers.h"
#include "parse.h"
#include "rules.h"

#define ASKED_BY_INSTANCE bpf_htons(1)
#define ASKED_BY_REMOTE   bpf_htons(2)

/* How far an acknowledgment or an end may move at once. */
#define MAX_MOVE (1U << 30)

static __always_inline bool is_echo_request(const struct layers *ip)
{
	return is_icmp(ip) && ip->icmp_type == (ip->version == 4 ? ICMP_ECHO_REQUEST : ICMPV6_ECHO_REQUEST);
}

static __always_inline bool is_echo_reply(const struct layers *ip)
{
	return is_icmp(ip) && ip->icmp_type == (ip->version == 4 ? ICMP_ECHO_REPLY : ICMPV6_ECHO_REPLY);
}

/* Other ICMP leaves no state. */
static __always_inline bool is_tracked(const struct layers *ip)
{
	return !is_icmp(ip) || is_echo_request(ip) || is_echo_reply(ip);
}

/* The key of the flow that a packet of that direction belongs to. */
static __always_inline void set_key(struct packet *p, const struct layers *ip, enum direction direction)
{
	struct flow_key *key = &p->key;

	p->remote_met = false;
	key->protocol = ip->protocol;
	if (direction == EGRESS) {
		key->local = ip->source;
		key->remote = ip->destination;
		key->lport = ip->sport;
		key->rport = ip->dport;
	} else {
		key->local = ip->destination;
		key->remote = ip->source;
		key->lport = ip->dport;
		key->rport = ip->sport;
	}
	if (!is_icmp(ip))
		return;
	key->rport = ip->sport;
	key->lport = (direction == EGRESS) == is_echo_request(ip) ? ASKED_BY_INSTANCE : ASKED_BY_REMOTE;
}

/* A guest's offload hands us many packets as one. gso_segs is 0 then: only the sizes tell. */
static __always_inline __u32 packets_in(struct __sk_buff *skb, __u32 payload)
{
	__u32 size = skb->gso_size;

	if (size == 0 || payload <= size)
		return 1;
	return (payload + size - 1) / size;
}

/* A packet that may begin a flow. */
static __always_inline bool opens(const struct packet *p)
{
	return p->ip.protocol != IPPROTO_TCP || (p->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

/* Of ICMP there are only flows of echo. */
static __always_inline bool is_echo(const struct flow_key *key)
{
	return key->protocol == (is_mapped(&key->remote) ? IPPROTO_IPV4_ICMP : IPPROTO_IPV6_ICMP);
}

static __always_inline __u32 timeout_of(const struct flow_key *key, enum flow_state state)
{
	switch (key->protocol) {
	case IPPROTO_TCP:
		if (state == FLOW_ESTABLISHED)
			return TICKS(8000);
		return state == FLOW_CLOSING ? TICKS(10) : TICKS(60);
	case IPPROTO_UDP:
		return state == FLOW_ESTABLISHED ? TICKS(180) : TICKS(30);
	}
	return is_echo(key) ? TICKS(30) : TICKS(600);
}

static __always_inline bool is_live(const struct packet *p, const struct flow *flow)
{
	return since(p->now, flow->last_seen) <= timeout_of(&p->key, flow->state);
}

/*
 * The live flow of p->key, if there is one. The NIC's table comes first: what is settled
 * costs one lookup. Of what is not, it is a copy.
 */
static __always_inline struct flow *find(struct packet *p, void *table, struct place_of place)
{
	struct flow *flow = p->missed ? NULL : bpf_map_lookup_elem(table, &p->key);

	p->left = flow;
	p->settled = flow && is_live(p, flow);
	if (p->settled)
		return flow;
	if (load_opener(p, place) && is_live(p, &p->flow))
		return &p->flow;
	return NULL;
}

static __always_inline __u32 direction_of(const struct flow *flow)
{
	return flow->flags & FLOW_EGRESS ? EGRESS : INGRESS;
}

/* Who speaks, as an index: the verifier doesn't know that a direction is 0 or 1. */
static __always_inline __u32 side_of(const struct packet *p)
{
	return p->direction & 1;
}

/* Asks the rules about the flow of p->key: the opener's destination port, or what ICMP says. */
static __always_inline enum reason ask_flow(struct packet *p, enum direction direction, __u8 icmp_type, __u8 icmp_code)
{
	__be16 port = direction == EGRESS ? p->key.rport : p->key.lport;

	if (is_echo(&p->key))
		port = bpf_htons(icmp_type << 8 | icmp_code);
	return ask(p, direction, port);
}

/* Asks whether the packet may pass by itself. */
static __always_inline enum reason ask_packet(struct packet *p)
{
	return ask_flow(p, p->direction, p->ip.icmp_type, p->ip.icmp_code);
}

/* Asks again what the opener of the flow was asked. */
static __always_inline bool is_still_admitted(struct packet *p, const struct flow *flow)
{
	if (flow->epoch == p->epoch) {
		p->rule = flow->rule;
		return true;
	}
	return passes(ask_flow(p, direction_of(flow), flow->icmp_type, flow->icmp_code));
}

/* Two CPUs may see the two sides of a flow at once: flags are only ever set, and all together. */
static __always_inline void set_flag(struct flow *flow, __u32 flag)
{
	__u32 *state_and_flags = (__u32 *)&flow->state;

	if (!(flow->flags & flag))
		__sync_fetch_and_or(state_and_flags, flag << 8);
}

/* Moves a number of one side forward; the first one is taken as it is. */
static __always_inline void move(struct flow *flow, __u32 *number, __u32 known, __u32 to)
{
	__u32 distance = to - *number;

	if (!(flow->flags & known)) {
		*number = to;
		set_flag(flow, known);
	} else if (distance != 0 && distance < MAX_MOVE) {
		*number = to;
	}
}

static __always_inline bool in_order(__u32 a, __u32 b)
{
	return (__s32)(b - a) >= 0;
}

/* Tells whether the RST is one that the other side would heed, as far as the flow has seen. */
static __always_inline bool is_reset_in_window(const struct packet *p, const struct flow *flow)
{
	const __u32 side = side_of(p), other = !side;

	if (flow->state == FLOW_HALF_OPEN && direction_of(flow) == other)
		return p->tcp_flags & TCP_ACK && flow->flags & FLOW_END << other && p->ack == flow->end[other];
	return flow->flags & FLOW_END << side && flow->flags & FLOW_ACK << other &&
	       in_order(flow->ack[other], p->seq) && in_order(p->seq, flow->end[side]);
}

/* What state the packet takes its flow to. Looks at what the packet found; the last condition decides. */
static __always_inline enum flow_state next_state(const struct packet *p, const struct flow *flow)
{
	const __u32 side = side_of(p);
	bool from_opener = direction_of(flow) == side;
	enum flow_state next = flow->state;
	__u8 flags = p->tcp_flags;

	if (p->key.protocol != IPPROTO_TCP)
		return from_opener ? next : FLOW_ESTABLISHED;
	if (flow->state == FLOW_HALF_OPEN && !from_opener && (flags & TCP_SYN) && (flags & TCP_ACK))
		next = FLOW_SYN_ACK;
	if (flow->state == FLOW_SYN_ACK && from_opener && (flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_ACK)
		next = FLOW_ESTABLISHED;
	if (flags & TCP_FIN && flow->flags & FLOW_FIN << !side)
		next = FLOW_CLOSING;
	if (flags & TCP_RST && is_reset_in_window(p, flow))
		next = FLOW_CLOSING;
	return next;
}

/* Tells whether it is the packet with which the opener speaks again after an answer. */
static __always_inline bool settles(const struct packet *p, const struct flow *flow)
{
	if (p->settled)
		return false;
	if (p->key.protocol != IPPROTO_TCP)
		return flow->state == FLOW_ESTABLISHED && direction_of(flow) == side_of(p);
	return flow->state == FLOW_SYN_ACK && next_state(p, flow) == FLOW_ESTABLISHED;
}

static __always_inline void track_tcp(const struct packet *p, struct flow *flow)
{
	const __u32 side = side_of(p);

	if (p->tcp_flags & TCP_FIN)
		set_flag(flow, FLOW_FIN << side);
	if (p->tcp_flags & TCP_RST || p->ip.place == LATER)
		return;
	move(flow, &flow->end[side], FLOW_END << side,
	     p->seq + p->payload + !!(p->tcp_flags & TCP_SYN) + !!(p->tcp_flags & TCP_FIN));
	if (p->tcp_flags & TCP_ACK)
		move(flow, &flow->ack[side], FLOW_ACK << side, p->ack);
}

/* Writes what the packet changes. Last seen only once a second: both sides' CPUs read that cache line. */
static __always_inline void track(const struct packet *p, struct flow *flow)
{
	enum flow_state next = next_state(p, flow);

	if (next != flow->state || since(p->now, flow->last_seen) >= SECOND) {
		flow->state = next;
		flow->last_seen = p->now;
	}
	if (p->key.protocol == IPPROTO_TCP)
		track_tcp(p, flow);
}

/* The rules have admitted the flow again. */
static __always_inline void renew(const struct packet *p, struct flow *flow)
{
	if (flow->epoch != p->epoch) {
		flow->rule = p->rule;
		flow->epoch = p->epoch;
	}
}

/* Moves p->flow to the NIC's table: there it counts, and no flood evicts it. */
static __always_inline enum reason settle(struct packet *p, void *table, struct place_of place)
{
	renew(p, &p->flow);
	track(p, &p->flow);
	if (bpf_map_update_elem(table, &p->key, &p->flow, BPF_ANY))
		return DROP_TABLE_FULL;
	remove_opener(p, place);
	return PASS_FLOW;
}

/*
 * Writes what the packet changes of a flow that is not settled: where it lies, and not in our
 * copy, as another CPU may see the other side. If it was evicted meanwhile, so be it.
 */
static __always_inline void track_opener(struct packet *p, struct place_of place)
{
	__u32 i;

	if (!place.set)
		return;
	bpf_spin_lock(&place.set->lock);
	i = index_of(place.set, place.tag, &p->key);
	if (i < OPENERS_PER_SET) {
		renew(p, &place.set->openers[i].flow);
		track(p, &place.set->openers[i].flow);
	}
	bpf_spin_unlock(&place.set->lock);
}

/* A packet of a live flow that p->rule admits. */
static __always_inline enum reason pass_flow(struct packet *p, void *table, struct flow *flow, struct place_of place)
{
	if (settles(p, flow))
		return settle(p, table, place);
	if (!p->settled) {
		track_opener(p, place);
		return PASS_FLOW;
	}
	renew(p, flow);
	track(p, flow);
	return PASS_FLOW;
}

/* Begins a flow with the packet that the rules admitted for that reason. */
static __always_inline enum reason begin(struct packet *p, void *table, enum reason reason, struct place_of place)
{
	p->flow = (struct flow){
		.last_seen = p->now,
		.epoch = p->epoch,
		.rule = p->rule,
		.state = FLOW_HALF_OPEN,
		.flags = p->direction == EGRESS ? FLOW_EGRESS : 0,
		.icmp_type = p->ip.icmp_type,
		.icmp_code = p->ip.icmp_code,
	};
	track(p, &p->flow);
	if (p->left)
		bpf_map_delete_elem(table, &p->key);
	return store_opener(p, place) ? reason : DROP_TABLE_FULL;
}

/* Port reuse: a new handshake may follow at once where the last one has ended. */
static __always_inline bool is_over(const struct packet *p, const struct flow *flow)
{
	return p->key.protocol == IPPROTO_TCP && flow->state == FLOW_CLOSING && opens(p);
}

CHECKED_ONCE enum reason judge_flow(struct packet *p)
{
	struct place_of place;
	struct flow *flow;
	enum reason reason;
	void *table;

	if (!p)
		return DROP_NO_POLICY;
	table = bpf_map_lookup_elem(&flows, &p->nic.slot);
	if (!table)
		return DROP_NO_POLICY;
	/*
	 * Of a handshake's first packet the remote's groups will be wanted. Many
	 * members are not in the caches: while memory is asked for one, the CPU
	 * already searches the flows.
	 */
	if (p->ip.protocol == IPPROTO_TCP && opens(p))
		meet_remote(p);
	place = place_of(p);
	flow = find(p, table, place);
	if (flow && is_over(p, flow))
		flow = NULL;
	if (flow && is_still_admitted(p, flow))
		return pass_flow(p, table, flow, place);

	/* What needs no handshake may begin another flow in the place of a revoked one. */
	if (flow && p->key.protocol == IPPROTO_TCP)
		return DROP_REVOKED;
	if (!opens(p))
		return DROP_NO_FLOW;
	reason = ask_packet(p);
	if (!passes(reason))
		return flow ? DROP_REVOKED : reason;
	if (is_echo_reply(&p->ip))
		return reason;
	return begin(p, table, reason, place);
}

#endif
