/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Collecting what has expired. No packet sees it any more, but a flow fills a
 * place of its NIC's table until it is deleted; and all of it would be alive
 * again 52 days later, when ticks have wrapped.
 */
#ifndef GABION_COLLECT_H
#define GABION_COLLECT_H

#include "flow.h"
#include "fragment.h"
#include "maps.h"

/* Nobody may be looking at a flow when it goes: a packet that found it alive has long passed by then. */
#define GRACE TICKS(5)

struct walk {
	__u32 now;
	__u32 live;
	__u32 expired;
};

static __always_inline bool is_expired(struct walk *walk, __u32 begun, __u32 timeout)
{
	if (since(walk->now, begun) > timeout + GRACE)
		return true;
	walk->live++;
	return false;
}

/* The kernel may give the element to another key while we look: what is deleted is the key that was looked at. */
static long collect_flow(void *table, struct flow_key *key, struct flow *flow, struct walk *walk)
{
	struct flow_key found = *key;

	barrier();
	if (is_expired(walk, flow->last_seen, timeout_of(&found, flow->state)) && !bpf_map_delete_elem(table, &found))
		walk->expired++;
	return 0;
}

/*
 * The lock is not for programs of this kind, on older kernels: a tag is cleared
 * only if neither it nor its neighbours have changed since we looked.
 */
static __always_inline bool clear_tag(__u64 *tags, __u64 found, __u32 i)
{
	return __sync_val_compare_and_swap(tags, found, found & ~(0xffffULL << i * 16)) == found;
}

static long collect_openers(void *sets, __u32 *index, struct openers *set, struct walk *walk)
{
	for (__u32 i = 0; i < OPENERS_PER_SET; i++) {
		const struct opener *opener = &set->openers[i];
		__u64 *tags = (__u64 *)set->tags + i / 4;
		__u64 found = *(volatile __u64 *)tags;

		if (!(found >> i % 4 * 16 & 0xffff))
			continue;
		barrier();
		if (is_expired(walk, opener->flow.last_seen, timeout_of(&opener->key, opener->flow.state)) &&
		    clear_tag(tags, found, i % 4))
			walk->expired++;
	}
	return 0;
}

static long collect_datagram(void *table, struct fragment_key *key, struct fragment *fragment, struct walk *walk)
{
	struct fragment_key found = *key;

	barrier();
	if (is_expired(walk, fragment->begun, FRAGMENT_TIMEOUT) && !bpf_map_delete_elem(table, &found))
		walk->expired++;
	return 0;
}

#endif
