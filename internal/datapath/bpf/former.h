/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * While the agent takes over from one whose maps had another layout, the former
 * programs decide once more what these would drop: a flow that has just begun is
 * only in their maps. So a packet gets the verdict of the policy before or of the one
 * after, as in every change. docs/adr/0008.
 */
#ifndef GABION_FORMER_H
#define GABION_FORMER_H

#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/*
 * The agent writes. Never pinned: the kernel empties them when the agent dies, and
 * what finds nobody here is dropped. Two, as a map holds programs of one hook only.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} former_from_instance SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} former_to_instance SEC(".maps");

/* The agent sets it. In this load's own memory, like tell_allowed. */
__u32 taking_over;

static __always_inline bool is_taking_over(void)
{
	return *(volatile __u32 *)&taking_over;
}

#endif
