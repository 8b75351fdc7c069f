/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The one description of what the eBPF programs and the agent share: map keys,
 * map values, limits. bpf2go makes the Go types from it. The layout of anything
 * here is part of ABI_VERSION, which is part of the pinned maps' names.
 */
#ifndef GABION_ABI_H
#define GABION_ABI_H

#include <linux/types.h>

#define ABI_VERSION 1

#define MAX_NICS 1024          /* slots 1..MAX_NICS-1; slot 0 counts frames of unknown NICs */
#define MAX_POLICY_SETS 2048
#define MAX_REMOTE_SETS 65536
#define MAX_RULES 65536        /* rule slots; 0 is "no rule" */
#define MAX_MEMBERS 1048576
#define MAX_FLOWS 65536        /* per NIC */
#define MAX_HALF_OPEN 131072   /* per host */
#define MAX_FRAGMENTS 8192     /* per host */
#define ADDRESSES_PER_FAMILY 8
#define GROUPS_PER_REMOTE 16
#define LEARNED_PER_NIC 4
#define REASON_SLOTS 64

/* IPv4 addresses are kept as ::ffff:a.b.c.d wherever both families share a map. */
struct address {
	__u8 bytes[16];
};

/*
 * nics: HASH[ifindex]. Agent writes, programs read. Absent means drop.
 * ifindex stands in the value too: the kernel recycles hash elements at once, so
 * a reader copies the value and then looks whether it is still its own.
 */
struct nic {
	__u32 ifindex;
	__u32 slot;
	__u32 policy_set;
	__u32 net; /* organization, as a number of this host */
	__u8 mac[6];
	__u8 n4;
	__u8 n6;
	__be32 addr4[ADDRESSES_PER_FAMILY];
	struct address addr6[ADDRESSES_PER_FAMILY];
};

/* nic_states: ARRAY[slot]. Programs write; the agent zeroes a slot before it gives it away. */
struct nic_state {
	__u64 rarp_time;
	__u64 half_open_time;
	__u64 event_time;
	__u32 events_lost;
	__u32 learned_count;
	struct address learned[LEARNED_PER_NIC]; /* link-local addresses seen in DAD */
};

/* policy_sets: ARRAY[policy set]. In place, one word, atomic. */
struct policy_set {
	__u32 flags;
};
#define POLICY_SET_EGRESS_CLOSED 1 /* some group has an egress rule */

/* members: HASH[member_key] -> remote set. Which of the groups that rules here name hold the address. */
struct member_key {
	__u32 net;
	struct address address;
};

/* remote_sets: ARRAY[remote set]. Written before a member points to it. 0 ends the list. */
struct remote_set {
	__u32 groups[GROUPS_PER_REMOTE];
};

/*
 * policies: ARRAY_OF_MAPS[policy set] -> LPM[policy_key] -> rule slot.
 * Rules only allow, so any hit allows, and a port range is a set of prefixes
 * without priorities. For ICMP, port is type<<8|code: "any code" is a prefix.
 */
struct policy_key {
	__u32 prefixlen;
	__be32 peer; /* group number, or PEER_CLASS|class */
	__u8 direction;
	__u8 protocol;
	__be16 port;
};
#define PEER_CLASS 0x80000000

/*
 * cidrs: ARRAY_OF_MAPS[policy set * 2 + direction] -> LPM[cidr_key] -> class.
 * A class stands for all networks of rules that cover an address.
 */
struct cidr_key {
	__u32 prefixlen;
	struct address address;
};

/* flows: ARRAY_OF_MAPS[slot] -> HASH[flow_key] -> flow. One lookup serves both directions. */
struct flow_key {
	struct address remote;
	struct address local;
	__be16 rport;
	__be16 lport;
	__u8 protocol;
	__u8 pad[3];
};

/* half_open: LRU_HASH[half_open_key] -> flow. What nobody answered yet. */
struct half_open_key {
	__u32 slot;
	struct flow_key flow;
};

/* 40 bytes: with its key and the kernel's header a flow fills 128 bytes exactly. */
struct flow {
	__u32 last_seen; /* ticks of 2^20 ns of the monotonic clock */
	__u32 epoch;
	__u32 rule;
	__u8 state; /* low bits: enum flow_state; see the FLOW_ bits */
	__u8 flags;
	__u8 icmp_type;
	__u8 icmp_code;
	__u32 end[2]; /* by direction: end of what that side has sent */
	__u32 ack[2]; /* by direction: highest acknowledgment it gave */
	__u32 packets[2];
};

enum flow_state {
	FLOW_HALF_OPEN = 1,
	FLOW_SYN_ACK = 2,
	FLOW_ESTABLISHED = 3,
	FLOW_CLOSING = 4,
};

/* named: HASH[named_key]. The servers and routers that the operator named. */
struct named_key {
	__u32 kind;
	struct address address;
};
#define NAMED_DHCP_SERVER 1
#define NAMED_ROUTER 2

/* config: ARRAY[1]. */
struct config {
	__u32 flags;
};
#define CONFIG_HAS_DHCP_SERVERS 1
#define CONFIG_HAS_ROUTERS 2

/* events: RINGBUF. A first packet that was denied, or allowed where asked for. */
struct event {
	__u64 time; /* ns, monotonic */
	__u32 slot;
	__u32 rule;
	struct flow_key flow;
	__u8 direction; /* of the packet */
	__u8 reason;
	__u8 icmp_type;
	__u8 icmp_code;
	__u32 lost; /* events of this NIC not sent since the last one */
};

#endif
