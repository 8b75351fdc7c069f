/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The one description of what the eBPF programs and the agent share: map keys,
 * map values, limits. bpf2go makes the Go types from it. The layout of anything
 * here is part of ABI_VERSION, which is part of the pinned maps' names.
 * Flows are taken over from maps of another layout by the names of their fields: one
 * that comes to mean something else gets another name.
 */
#ifndef GABION_ABI_H
#define GABION_ABI_H

#include <linux/bpf.h>
#include <linux/types.h>

#include "reasons.h"

#define ABI_VERSION 2

#define MAX_NICS             1024 /* slots 1..MAX_NICS-1; slot 0 counts frames of unknown NICs */
#define MAX_POLICY_SETS      2048
#define MAX_REMOTE_SETS      65536
#define MAX_RULES            65536 /* rule slots; 0 is "no rule" */
#define MAX_MEMBERS          262144 /* per family */
#define MAX_POLICY_KEYS      1048576 /* per policy set */
#define MAX_CIDRS            65536 /* per policy set and direction */
#define MAX_FLOWS            65536 /* per NIC */
#define OPENER_SETS          1024 /* per NIC */
#define OPENERS_PER_SET      8
#define MAX_FRAGMENTS        1024 /* per NIC */
#define MAX_TOLD             16384 /* per host */
#define MAX_ADMITTED         16384 /* per host */
#define MAX_NAMED            1024
#define MAX_IDS              262144
#define ADDRESSES_PER_FAMILY 8
#define GROUPS_PER_REMOTE    16
#define LEARNED_PER_NIC      4
#define REASON_SLOTS         64

/*
 * IPv4 addresses are kept as ::ffff:a.b.c.d wherever both families share a map.
 * Aligned, or the compiler would copy it byte by byte.
 */
struct address {
	__u8 bytes[16];
} __attribute__((aligned(4)));

/* Enums fill one byte here. */
#define BYTE __attribute__((packed))

/* The values of gabion.Direction: the instance's view. */
enum BYTE direction {
	INGRESS = 0,
	EGRESS = 1,
};

/*
 * nics: HASH[ifindex]. Agent writes, programs read. Absent, or slot 0, means drop.
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

/* A link-local address that the instance has looked for in duplicate address detection. */
struct learned {
	struct address address; /* :: ends the list */
	__u64 since; /* ticks that don't wrap */
};

/*
 * nic_states: ARRAY[slot]. Programs write; the agent zeroes a slot, but for its seed, before it gives it away.
 * The times are those of docs/verdicts.md, Rates, in ns.
 */
struct nic_state {
	struct bpf_spin_lock lock; /* of learned */
	__u32 events_lost; /* since the last event that was sent */
	__u64 seed; /* of hashes of half-open flows; the agent's, for as long as the slot is in use */
	__u64 rarp_time;
	__u64 event_time;
	struct learned learned[LEARNED_PER_NIC]; /* oldest first */
};

/* policy_sets: ARRAY[policy set]. In place, one word, atomic. */
struct policy_set {
	__u32 flags;
};
#define POLICY_SET_EGRESS_CLOSED 1 /* some group has an egress rule */

/*
 * members4: HASH[member4_key] -> member; members6: HASH[member6_key] -> member.
 * Which of the groups that rules here name hold the address. Two maps because an
 * IPv4 member fills one cache line so, and one line is what a lookup among many costs.
 */
struct member4_key {
	__u32 net;
	__be32 address;
};

struct member6_key {
	__u32 net;
	struct address address;
};

/*
 * A value of members. The kernel recycles hash elements at once: the tag says of
 * which key it is, and both are read as one.
 */
struct member {
	__u32 set; /* of groups */
	__u32 tag;
} __attribute__((aligned(8)));
#define MEMBER_TAG 0x9e3779b1 /* multiplies: net first, then the address, word by word */

/* remote_sets: ARRAY[remote set]. Written before a member points to it. 0 ends the list; set 0 is empty. */
struct remote_set {
	__u32 groups[GROUPS_PER_REMOTE];
};

/*
 * policies: ARRAY_OF_MAPS[policy set] -> LPM[policy_key] -> rule slot.
 * Rules only allow, so any hit allows, and a port range is a set of prefixes
 * without priorities. For ICMP, port is type<<8|code: "any code" is a prefix.
 * A policy set without rules has an (empty) map too: no map means no policy.
 */
struct policy_key {
	__u32 prefixlen;
	__be32 peer; /* group number, or PEER_CLASS|class */
	__u8 direction; /* enum direction */
	__u8 protocol;
	__be16 port;
};
#define PEER_CLASS 0x80000000

/*
 * admitted: LRU_HASH[admitted_key] -> rule slot. What a NIC's policy admitted
 * lately: so ten thousand keys answer like one. Programs alone write it. An entry
 * is good for the policy set that said so, and for the epoch in which it was made:
 * the agent, who deletes no policy key without a new epoch, need not know of it.
 */
struct admitted_key {
	__u32 slot;
	__u32 epoch;
	__u32 policy_set; /* in the middle of a change the NIC may have its new one, and the old epoch */
	struct policy_key policy;
};

/*
 * cidrs: ARRAY_OF_MAPS[policy set * 2 + direction] -> LPM[cidr_key] -> class.
 * A class stands for all networks of rules that cover an address. Class 0, like
 * no map, is no network: where ::/0 has a class, ::ffff:0:0/96 needs one of its own.
 */
struct cidr_key {
	__u32 prefixlen;
	struct address address;
};

/*
 * flows: ARRAY_OF_MAPS[slot] -> HASH[flow_key] -> flow. What is settled. One lookup
 * serves both directions. For echo the ports are the identifier and who asked.
 */
struct flow_key {
	struct address remote;
	struct address local;
	__be16 rport;
	__be16 lport;
	__u8 protocol;
	__u8 pad[3];
};

enum BYTE flow_state {
	FLOW_HALF_OPEN = 1,
	FLOW_SYN_ACK = 2,
	FLOW_ESTABLISHED = 3,
	FLOW_CLOSING = 4,
};

/* 32 bytes: with its key 72, for which the kernel takes 128. See docs/adr/0002. */
struct flow {
	__u32 last_seen; /* ticks of 2^20 ns of the monotonic clock */
	__u32 epoch;
	__u32 rule;
	enum flow_state state;
	__u8 flags; /* FLOW_ bits */
	__u8 icmp_type; /* of the packet that opened it */
	__u8 icmp_code;
	__u32 end[2]; /* by direction: end of what that side has sent */
	__u32 ack[2]; /* by direction: highest acknowledgment it gave */
};

/* FLOW_EGRESS is the flow's direction; the others are shifted left by a side's direction. */
#define FLOW_EGRESS 1
#define FLOW_FIN    2 /* the side has sent FIN */
#define FLOW_END    8 /* end is known */
#define FLOW_ACK    32 /* ack is known */

/* A flow that is not settled: its opener has not spoken again after an answer. */
struct opener {
	struct flow_key key;
	struct flow flow;
};

/*
 * half_open: ARRAY_OF_MAPS[slot] -> ARRAY[hash of flow_key] -> openers. Programs
 * write. A set of places: a flow may have any of the set that its hash names.
 */
struct openers {
	struct bpf_spin_lock lock; /* of all that follows; the collector alone clears tags without it */
	__u32 pad;
	__u16 tags[OPENERS_PER_SET] __attribute__((aligned(8))); /* of places: the rest of the hash; 0 is nobody */
	__u32 used[OPENERS_PER_SET]; /* ticks */
	struct opener openers[OPENERS_PER_SET];
};

/* fragments: ARRAY_OF_MAPS[slot] -> LRU_HASH[fragment_key] -> fragment. What the first fragment said for those that follow. */
struct fragment_key {
	struct address source;
	struct address destination;
	__be32 id;
	enum direction direction;
	__u8 protocol; /* 0 for IPv6: later fragments don't know it */
	__u8 pad[2];
};

struct fragment {
	__u32 begun; /* ticks, as in flow */
	__u32 next; /* where the next fragment is expected to begin */
	__u32 epoch; /* that the first passed in */
	__be16 sport;
	__be16 dport;
	__u8 protocol;
	__u8 icmp_type;
	__u8 icmp_code;
	enum reason reason; /* that the first passed for */
};

/* named: HASH[named_key]. The servers and routers that the operator named. */
struct named_key {
	__u32 kind;
	struct address address;
};
#define NAMED_DHCP_SERVER 1
#define NAMED_ROUTER      2

/* config: ARRAY[1]. */
struct config {
	__u32 flags;
};
#define CONFIG_HAS_DHCP_SERVERS 1
#define CONFIG_HAS_ROUTERS      2

/* rule_hits: PERCPU_ARRAY[rule slot]. What passed because of a rule, flows that it opened included. */
struct rule_hit {
	__u64 packets;
	__u64 bytes;
};

/* events: RINGBUF. A first packet that was dropped, or admitted. Frames that are not IP have no flow. */
struct event {
	__u64 time; /* ns, monotonic */
	__u32 slot;
	__u32 lost; /* events of this NIC not sent since the last one */
	struct flow_key flow;
	enum direction direction; /* of the packet */
	enum reason reason;
	__u8 icmp_type;
	__u8 icmp_code;
	__u32 rule; /* slot of the rule that admitted it; 0 is none */
};

/* told: LRU_HASH[told_key] -> ticks of the last event. Keeps one conversation from being told at each packet. */
struct told_key {
	__u32 slot;
	struct address remote;
	__be16 port; /* the opener's destination port */
	__u8 protocol;
	enum direction direction;
	enum reason reason;
	__u8 pad[3];
};

/* ids: HASH[id_key] -> number. The agent's own: the numbers of this host outlive the agent. */
struct id_key {
	__u32 kind;
	__u8 id[16];
};

/* collect_expired's context: the NIC's slot in; how many flows and datagrams were found out. */
struct collection {
	__u32 slot;
	__u32 live;
	__u32 expired; /* and deleted */
};

#endif
