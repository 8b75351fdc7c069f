/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The maps. abi.h says what each holds and who writes it. The agent pins them;
 * those of many elements allocate them only when they are used.
 */
#ifndef GABION_MAPS_H
#define GABION_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_NICS);
	__type(key, __u32);
	__type(value, struct nic);
} nics SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_NICS);
	__type(key, __u32);
	__type(value, struct nic_state);
} nic_states SEC(".maps");

/* By slot. The agent bumps a NIC's epoch after it has taken an access away. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_NICS);
	__type(key, __u32);
	__type(value, __u32);
} epochs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_POLICY_SETS);
	__type(key, __u32);
	__type(value, struct policy_set);
} policy_sets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_MEMBERS);
	__type(key, struct member4_key);
	__type(value, struct member);
} members4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_MEMBERS);
	__type(key, struct member6_key);
	__type(value, struct member);
} members6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_REMOTE_SETS);
	__type(key, __u32);
	__type(value, struct remote_set);
} remote_sets SEC(".maps");

struct policy {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_POLICY_KEYS);
	__type(key, struct policy_key);
	__type(value, __u32);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, MAX_POLICY_SETS);
	__type(key, __u32);
	__array(values, struct policy);
} policies SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_ADMITTED);
	__type(key, struct admitted_key);
	__type(value, __u32);
} admitted SEC(".maps");

struct cidr {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_CIDRS);
	__type(key, struct cidr_key);
	__type(value, __u32);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, MAX_POLICY_SETS * 2);
	__type(key, __u32);
	__array(values, struct cidr);
} cidrs SEC(".maps");

struct flow_table {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_FLOWS);
	__type(key, struct flow_key);
	__type(value, struct flow);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, MAX_NICS);
	__type(key, __u32);
	__array(values, struct flow_table);
} flows SEC(".maps");

/* The compiler describes only types that are used other than as an inner map's. */
const struct openers *described __attribute__((unused));

/*
 * A flood, answered or not, evicts what is not settled only. One for each NIC: it
 * evicts that NIC's only.
 */
struct opener_sets {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, OPENER_SETS);
	__type(key, __u32);
	__type(value, struct openers);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, MAX_NICS);
	__type(key, __u32);
	__array(values, struct opener_sets);
} half_open SEC(".maps");

/* One for each NIC, like half_open. */
struct datagrams {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_FRAGMENTS);
	__type(key, struct fragment_key);
	__type(value, struct fragment);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, MAX_NICS);
	__type(key, __u32);
	__array(values, struct datagrams);
} fragments SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_NAMED);
	__type(key, struct named_key);
	__type(value, __u8);
} named SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct config);
} config SEC(".maps");

/* By slot * REASON_SLOTS + reason: packets, those that passed too. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_NICS *REASON_SLOTS);
	__type(key, __u32);
	__type(value, __u64);
} verdicts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_RULES);
	__type(key, __u32);
	__type(value, struct rule_hit);
} rule_hits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_TOLD);
	__type(key, struct told_key);
	__type(value, __u32);
} told SEC(".maps");

/* No program uses it: declared here to be created and pinned like the others. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_IDS);
	__type(key, struct id_key);
	__type(value, __u32);
} ids SEC(".maps");

#endif
