/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The flows of a NIC that are not settled: docs/adr/0005. Each has its place in one
 * of the sets that its hash names, and takes that of the one used least lately if
 * there is no other. What a set says of its places fills one cache line, so that
 * who is not there is not looked for further.
 */
#ifndef GABION_OPENERS_H
#define GABION_OPENERS_H

#include "maps.h"
#include "nic.h"
#include "packet.h"

#define GOLDEN 0x9e3779b97f4a7c15ULL /* 2^64 by the golden ratio */
#define ONES   0x0001000100010001ULL
#define NOBODY 36 /* a bit above all ticks and places */

/* Where a flow has its place, if it has one. */
struct place_of {
	struct openers *set; /* of its hash; NULL while the NIC has none */
	__u16 tag; /* the rest of the hash; never 0 */
};

/* The seed is the NIC's secret: else a remote could choose whom it evicts. */
static __always_inline __u64 hash_of(const struct flow_key *key, __u64 seed)
{
	const __u64 *words = (const __u64 *)key;

	for (int i = 0; i < sizeof(*key) / sizeof(*words); i++) {
		seed = (seed ^ words[i]) * GOLDEN;
		seed ^= seed >> 32;
	}
	return seed;
}

static __always_inline bool same_key(const struct flow_key *a, const struct flow_key *b)
{
	const __u64 *x = (const __u64 *)a, *y = (const __u64 *)b;

	return x[4] == y[4] && x[1] == y[1] && x[0] == y[0] && x[3] == y[3] && x[2] == y[2];
}

/* The set of p->key's hash. */
static __always_inline struct place_of place_of(struct packet *p)
{
	struct place_of place = {};
	void *sets = bpf_map_lookup_elem(&half_open, &p->nic.slot);
	struct nic_state *state = state_of(p);
	__u64 hash;
	__u32 index;

	if (!sets || !state)
		return place;
	hash = hash_of(&p->key, state->seed);
	index = hash % OPENER_SETS;
	place.tag = hash >> 48 ?: 1;
	place.set = bpf_map_lookup_elem(sets, &index);
	return place;
}

/* Which of the set's places is the key's; OPENERS_PER_SET if none is. The lock is held. */
static __always_inline __u32 index_of(const struct openers *set, __u16 tag, const struct flow_key *key)
{
	__u32 i;

#pragma clang loop unroll(disable)
	for (i = 0; i < OPENERS_PER_SET; i++)
		if (set->tags[i] == tag && same_key(&set->openers[i].key, key))
			break;
	return i;
}

/* Tells whether some place may have the tag: four at once, by the borrow of a 0 (it may spill into the next, which is as well). */
static __always_inline bool has_tag(const struct openers *set, __u16 tag)
{
	const __u64 *tags = (const __u64 *)set->tags;
	__u64 found = 0;

	for (int i = 0; i < OPENERS_PER_SET / 4; i++) {
		__u64 difference = tags[i] ^ tag * ONES;

		found |= (difference - ONES) & ~difference & ONES << 15;
	}
	return found;
}

/* Copies the flow of p->key to p->flow, if it is there. */
static __always_inline bool load_opener(struct packet *p, struct place_of place)
{
	__u32 i;

	if (!place.set || !has_tag(place.set, place.tag))
		return false;
	bpf_spin_lock(&place.set->lock);
	i = index_of(place.set, place.tag, &p->key);
	if (i < OPENERS_PER_SET) {
		p->flow = place.set->openers[i].flow;
		place.set->used[i] = p->now;
	}
	bpf_spin_unlock(&place.set->lock);
	return i < OPENERS_PER_SET;
}

/*
 * Nobody's place, or else the one used least lately. Without branches, which nobody
 * could predict. Another CPU may have read the clock a little later than we.
 */
static __always_inline __u32 least_of(const struct openers *set, __u32 now)
{
	__s64 least = 0;

	for (int i = 0; i < OPENERS_PER_SET; i++) {
		__s64 unused = (__u64)!set->tags[i] << NOBODY | (__u64)(__u32)(now + SECOND - set->used[i]) << 3 | i;

		least += (unused - least) & ~(unused - least) >> 63;
	}
	return least & (OPENERS_PER_SET - 1);
}

/* Stores p->flow under p->key. */
static __always_inline bool store_opener(struct packet *p, struct place_of place)
{
	__u32 i;

	if (!place.set)
		return false;
	bpf_spin_lock(&place.set->lock);
	i = has_tag(place.set, place.tag) ? index_of(place.set, place.tag, &p->key) : OPENERS_PER_SET;
	if (i >= OPENERS_PER_SET)
		i = least_of(place.set, p->now);
	i &= OPENERS_PER_SET - 1; /* for the verifier */
	place.set->tags[i] = place.tag;
	place.set->used[i] = p->now;
	copy_key(&place.set->openers[i].key, &p->key);
	place.set->openers[i].flow = p->flow;
	bpf_spin_unlock(&place.set->lock);
	return true;
}

/* It is settled. */
static __always_inline void remove_opener(struct packet *p, struct place_of place)
{
	__u32 i;

	if (!place.set)
		return;
	bpf_spin_lock(&place.set->lock);
	i = index_of(place.set, place.tag, &p->key);
	if (i < OPENERS_PER_SET)
		place.set->tags[i] = 0;
	bpf_spin_unlock(&place.set->lock);
}

#endif
