/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Rules: docs/verdicts.md, "Rules". The cost grows neither with rules nor with
 * members: one lookup for the remote's groups, one for its networks, then one
 * for each of those groups and one for the networks together.
 */
#ifndef GABION_RULES_H
#define GABION_RULES_H

#include "maps.h"
#include "packet.h"

#define POLICY_KEY_BITS ((sizeof(struct policy_key) - sizeof(__u32)) * 8)
#define ADDRESS_BITS    (sizeof(struct address) * 8)

/* How often to look again for a member whose element was another's meanwhile. */
#define MEMBER_TRIES 4

/* Tells whether the member is still the key's, and whose groups it is in. */
static __always_inline bool read_member(const struct member *member, __u32 tag, __u32 *set)
{
	__u64 both = *(const volatile __u64 *)member;

	*set = both;
	return both >> 32 == tag;
}

static __always_inline __u32 set_of_ipv4(const struct packet *p)
{
	struct member4_key key = { .net = p->nic.net, .address = word(&p->key.remote, 3) };
	__u32 tag = key.net * MEMBER_TAG + key.address, set;

	for (int i = 0; i < MEMBER_TRIES; i++) {
		struct member *member = bpf_map_lookup_elem(&members4, &key);
		if (!member)
			return 0;
		if (read_member(member, tag, &set))
			return set;
	}
	return 0;
}

static __always_inline __u32 set_of_ipv6(const struct packet *p)
{
	struct member6_key key = { .net = p->nic.net, .address = p->key.remote };
	__u32 tag = key.net, set;

	for (int i = 0; i < 4; i++)
		tag = tag * MEMBER_TAG + word(&key.address, i);
	for (int i = 0; i < MEMBER_TRIES; i++) {
		struct member *member = bpf_map_lookup_elem(&members6, &key);
		if (!member)
			return 0;
		if (read_member(member, tag, &set))
			return set;
	}
	return 0;
}

/* Looks up the number of the remote's groups; 0 has none. */
static __always_inline void meet_remote(struct packet *p)
{
	p->remote_set = p->ip.version == 4 ? set_of_ipv4(p) : set_of_ipv6(p);
	p->remote_met = true;
}

/* The groups that hold the remote, of those that rules on this host name. */
static __always_inline struct remote_set *groups_of(struct packet *p)
{
	if (!p->remote_met)
		meet_remote(p);
	return bpf_map_lookup_elem(&remote_sets, &p->remote_set);
}

/* What stands for the networks of rules that cover the remote; 0 is none. */
static __always_inline __u32 class_of(struct packet *p, enum direction direction)
{
	__u32 index = p->nic.policy_set * 2 + direction;
	void *table = bpf_map_lookup_elem(&cidrs, &index);
	__u32 *class;

	if (!table)
		return 0;
	p->asked_remote.prefixlen = ADDRESS_BITS;
	p->asked_remote.address = p->key.remote;
	class = bpf_map_lookup_elem(table, &p->asked_remote);
	return class ? *class : 0;
}

/* Whether the policy admitted the like for that peer lately. */
static __always_inline bool admitted_lately(struct packet *p, __u32 peer)
{
	__u32 *rule;

	p->asked.policy.peer = bpf_htonl(peer);
	rule = bpf_map_lookup_elem(&admitted, &p->asked);
	if (rule)
		p->rule = *rule;
	return rule;
}

/* Whether the policy admits it, which is then remembered. */
static __always_inline bool admits(struct packet *p, void *policy, __u32 peer)
{
	__u32 *rule;

	p->asked.policy.peer = bpf_htonl(peer);
	rule = bpf_map_lookup_elem(policy, &p->asked.policy);
	if (!rule)
		return false;
	p->rule = *rule;
	bpf_map_update_elem(&admitted, &p->asked, &p->rule, BPF_ANY);
	return true;
}

/* ICMP is a protocol of rules only where it belongs. */
static __always_inline bool is_named_by_rules(struct packet *p)
{
	__u8 other = p->ip.version == 4 ? IPPROTO_IPV6_ICMP : IPPROTO_IPV4_ICMP;

	return p->key.protocol != other;
}

static __always_inline bool is_egress_open(struct packet *p)
{
	struct policy_set *set = bpf_map_lookup_elem(&policy_sets, &p->nic.policy_set);

	return set && !(set->flags & POLICY_SET_EGRESS_CLOSED);
}

/*
 * Asks the rules whether the flow of p->key may begin in that direction towards
 * that port (network order; for ICMP type<<8|code). p->rule is the rule that
 * admits it. Everything that tells who the remote is is looked up before the policy:
 * the agent writes in the opposite order.
 */
CHECKED_ONCE enum reason ask(struct packet *p, enum direction direction, __be16 port)
{
	enum reason denied = direction == EGRESS ? DROP_DENIED_EGRESS : DROP_DENIED_INGRESS;
	struct remote_set *set;
	void *policy;
	__u32 class;

	if (!p)
		return DROP_NO_POLICY;
	p->rule = 0;
	if (direction == EGRESS && is_egress_open(p))
		return PASS_EGRESS_OPEN;
	if (!is_named_by_rules(p))
		return denied;
	set = groups_of(p);
	class = class_of(p, direction);
	policy = bpf_map_lookup_elem(&policies, &p->nic.policy_set);
	if (!policy)
		return DROP_NO_POLICY;

	p->asked.slot = p->nic.slot;
	p->asked.policy_set = p->nic.policy_set;
	p->asked.epoch = p->epoch;
	p->asked.policy.prefixlen = POLICY_KEY_BITS;
	p->asked.policy.direction = direction;
	p->asked.policy.protocol = p->key.protocol;
	p->asked.policy.port = port;
	for (int i = 0; set && i < GROUPS_PER_REMOTE && set->groups[i]; i++)
		if (admitted_lately(p, set->groups[i]))
			return PASS_RULE;
	if (class && admitted_lately(p, PEER_CLASS | class))
		return PASS_RULE;
	for (int i = 0; set && i < GROUPS_PER_REMOTE && set->groups[i]; i++)
		if (admits(p, policy, set->groups[i]))
			return PASS_RULE;
	if (class && admits(p, policy, PEER_CLASS | class))
		return PASS_RULE;
	return denied;
}

#endif
