/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Collecting flows that have expired. No packet sees them any more, but each
 * fills a place of its NIC's table until it is deleted.
 */
#ifndef GABION_COLLECT_H
#define GABION_COLLECT_H

#include "flow.h"
#include "maps.h"

/* Nobody may be looking at a flow when it goes: a packet that found it alive has long passed by then. */
#define GRACE TICKS(5)

struct walk {
	__u32 now;
	__u32 live;
	__u32 expired;
};

static long collect_flow(void *table, struct flow_key *key, struct flow *flow, struct walk *walk)
{
	__u32 timeout = timeout_of(key, flow->state);

	if (since(walk->now, flow->last_seen) <= timeout + GRACE)
		walk->live++;
	else if (bpf_map_delete_elem(table, key) == 0)
		walk->expired++;
	return 0;
}

#endif
