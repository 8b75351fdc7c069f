// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "maps.h"
#include "reasons.h"

/* What the agent needs to know of, but no outer map's key or value tells it. */
#define EXPORT(type, name) const type *name##_type __attribute__((unused))
EXPORT(enum reason, reason);
EXPORT(enum direction, direction);
EXPORT(enum flow_state, flow_state);
EXPORT(struct flow, flow);
EXPORT(struct flow_key, flow_key);
EXPORT(struct policy_key, policy_key);
EXPORT(struct cidr_key, cidr_key);
EXPORT(struct event, event);
EXPORT(struct collection, collection);

SEC("tcx/ingress")
int from_instance(struct __sk_buff *skb)
{
	return 2;
}

SEC("tcx/egress")
int to_instance(struct __sk_buff *skb)
{
	return 2;
}

SEC("syscall")
int collect_expired(struct collection *c)
{
	return 0;
}

char __license[] SEC("license") = "GPL";
