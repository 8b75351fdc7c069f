/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What is kept of a verdict: counters of every one, events of what was dropped,
 * and while somebody watches of what was let in first.
 */
#ifndef GABION_COUNT_H
#define GABION_COUNT_H

#include "clock.h"
#include "flow.h"
#include "maps.h"

#define EVENT_BURST    100
#define EVENT_INTERVAL 20000000 /* ns: 50 a second */
#define TELL_AGAIN     TICKS(60)

/* Off only where it is measured what counting and telling cost. */
const volatile bool counting = true;

/* A frame that stands for so many packets, by NIC and reason, and by the rule that admitted it, if one did. */
static __always_inline void count(struct __sk_buff *skb, __u32 slot, enum reason reason, __u32 rule, __u32 packets)
{
	__u32 index = slot * REASON_SLOTS + reason;
	struct rule_hit *hit;
	__u64 *counter;

	if (!counting)
		return;
	counter = bpf_map_lookup_elem(&verdicts, &index);
	if (counter)
		*counter += packets;
	if (!rule || !passes(reason))
		return;
	hit = bpf_map_lookup_elem(&rule_hits, &rule);
	if (!hit)
		return;
	hit->packets += packets;
	hit->bytes += skb->len;
}

/*
 * The agent sets it while somebody watches what is allowed. It lies in this load's
 * own memory: what is left on by an agent that died is off when the next one loads.
 */
__u32 tell_allowed;

/* A packet that the rules were asked about, and not one that belongs to what they admitted before. */
static __always_inline bool is_first(enum reason reason)
{
	return reason == PASS_RULE || reason == PASS_EGRESS_OPEN;
}

/* Frames for others are a bridge's business as usual; frames of unknown NICs have nobody to tell. */
static __always_inline bool is_worth_telling(enum reason reason)
{
	if (!counting)
		return false;
	if (is_first(reason))
		return *(volatile __u32 *)&tell_allowed;
	return !passes(reason) && reason != DROP_NOT_FOR_NIC && reason != DROP_NO_POLICY;
}

static __always_inline bool send(struct packet *p, struct nic_state *state, enum reason reason)
{
	struct event *event = &p->event;

	event->time = now_ns();
	event->slot = p->nic.slot;
	event->lost = state->events_lost;
	event->flow = p->key;
	event->direction = p->direction;
	event->reason = reason;
	event->icmp_type = p->ip.icmp_type;
	event->icmp_code = p->ip.icmp_code;
	event->rule = p->rule;
	if (bpf_ringbuf_output(&events, event, sizeof(*event), 0))
		return false;
	__sync_fetch_and_sub(&state->events_lost, event->lost);
	return true;
}

/* What passed may use up half of the allowance only: what was dropped goes before it. */
static __always_inline bool may_tell(const struct nic_state *state, enum reason reason)
{
	return !passes(reason) || *(volatile __u64 *)&state->event_time + EVENT_BURST / 2 * EVENT_INTERVAL <= now_ns();
}

/*
 * In a flood most packets learn here that the allowance is used up, by the clock that
 * costs less. It may be late by less than COARSE.
 */
#define COARSE (5ULL << TICK_BITS) /* ns */

static __always_inline bool is_used_up(const struct nic_state *state)
{
	return *(volatile __u64 *)&state->event_time > (now_ticks() << TICK_BITS) + COARSE;
}

/*
 * Sends an event: once a minute for each conversation, and so many a second for
 * each NIC. In a flood the allowance is used up, and nothing more is written.
 */
CHECKED_ONCE int tell(struct packet *p, enum reason reason)
{
	struct nic_state *state;
	struct told_key key = {};
	__u32 *last;

	if (!p)
		return 0;
	state = state_of(p);
	if (!state)
		return 0;
	if (is_used_up(state)) {
		__sync_fetch_and_add(&state->events_lost, 1);
		return 0;
	}
	set_key(p, &p->ip, p->direction);
	key.slot = p->nic.slot;
	key.remote = p->key.remote;
	key.port = p->ip.dport;
	key.protocol = p->ip.protocol;
	key.direction = p->direction;
	key.reason = reason;
	last = bpf_map_lookup_elem(&told, &key);
	if (last && since(p->now, *last) < TELL_AGAIN)
		return 0;
	if (!may_tell(state, reason) || !take(&state->event_time, EVENT_BURST, EVENT_INTERVAL) ||
	    !send(p, state, reason)) {
		__sync_fetch_and_add(&state->events_lost, 1);
		return 0;
	}
	bpf_map_update_elem(&told, &key, &p->now, BPF_ANY);
	return 0;
}

#endif
