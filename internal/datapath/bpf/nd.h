/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Neighbour discovery (RFC 4861, 4862) and multicast listeners (RFC 2710, 3810).
 */
#ifndef GABION_ND_H
#define GABION_ND_H

#include "named.h"
#include "nic.h"
#include "parse.h"

#define MLD_QUERY              130
#define MLD_REPORT             131
#define MLD_DONE               132
#define ROUTER_SOLICITATION    133
#define ROUTER_ADVERTISEMENT   134
#define NEIGHBOR_SOLICITATION  135
#define NEIGHBOR_ADVERTISEMENT 136
#define REDIRECT               137
#define MLD2_REPORT            143

#define ND_HOP_LIMIT  255
#define MLD_HOP_LIMIT 1

#define ND_OPTIONS       8 /* at most */
#define ND_SOURCE_OPTION 1
#define ND_TARGET_OPTION 2

#define SOLICITATION_SIZE         8 /* of a router */
#define ROUTER_ADVERTISEMENT_SIZE 16
#define NEIGHBOR_SIZE             24

struct nd_option {
	__u8 type;
	__u8 length; /* in 8 bytes, all of it */
	__u8 mac[ETH_ALEN];
};

static __always_inline bool is_mld_report(const struct layers *ip)
{
	return is_icmpv6(ip) &&
	       (ip->icmp_type == MLD_REPORT || ip->icmp_type == MLD_DONE || ip->icmp_type == MLD2_REPORT);
}

/* A router's. Without it bridges that watch MLD forget whom to bring neighbour solicitations. */
static __always_inline bool is_mld_query(const struct layers *ip)
{
	return is_icmpv6(ip) && ip->icmp_type == MLD_QUERY && ip->hop_limit == MLD_HOP_LIMIT &&
	       is_link_local(&ip->source);
}

static __always_inline bool is_neighbor_message(const struct layers *ip)
{
	return ip->icmp_type == NEIGHBOR_SOLICITATION || ip->icmp_type == NEIGHBOR_ADVERTISEMENT;
}

/* What routers alone may say. */
static __always_inline bool is_router_message(const struct layers *ip)
{
	if (!is_icmp(ip))
		return false;
	if (ip->version == 4)
		return ip->icmp_type == ICMP_REDIRECT;
	return ip->icmp_type == ROUTER_ADVERTISEMENT || ip->icmp_type == REDIRECT || ip->icmp_type == MLD_QUERY;
}

static __always_inline bool is_nd_from_instance(const struct layers *ip)
{
	return is_icmpv6(ip) && (is_neighbor_message(ip) || ip->icmp_type == ROUTER_SOLICITATION);
}

static __always_inline bool is_nd_to_instance(const struct layers *ip)
{
	return is_icmpv6(ip) && (is_neighbor_message(ip) || ip->icmp_type == ROUTER_ADVERTISEMENT);
}

static __always_inline bool holds(const struct layers *ip, __u32 size)
{
	return ip->upper + size <= ip->end;
}

static __always_inline bool load_target(struct __sk_buff *skb, const struct layers *ip, struct address *target)
{
	return load_of(skb, ip, ip->upper + sizeof(struct icmp), target, sizeof(*target));
}

/*
 * Walks the options: a link-layer address among them must be the NIC's. Tells
 * through said whether there was one.
 */
static __always_inline enum reason parse_nd_options(struct __sk_buff *skb, struct packet *p, bool *said)
{
	__u8 link_layer = p->ip.icmp_type == NEIGHBOR_ADVERTISEMENT ? ND_TARGET_OPTION : ND_SOURCE_OPTION;
	__u32 at = p->ip.upper;

	at += p->ip.icmp_type == ROUTER_SOLICITATION ? SOLICITATION_SIZE : NEIGHBOR_SIZE;
	for (int i = 0; i <= ND_OPTIONS; i++) {
		struct nd_option option;

		if (at >= p->ip.end)
			return REASON_NONE;
		if (i == ND_OPTIONS || !load_of(skb, &p->ip, at, &option, sizeof(option)) || option.length == 0)
			return DROP_ND_INVALID;
		at += option.length * 8;
		if (at > p->ip.end)
			return DROP_ND_INVALID;
		if (option.type != link_layer)
			continue;
		if (option.length != 1 || !same_mac(option.mac, p->nic.mac))
			return DROP_ND_SPOOF;
		*said = true;
	}
	return DROP_ND_INVALID;
}

/* Tells whether the solicitation goes to the group that whoever has the target is in. */
static __always_inline bool is_heard_by_owner(const struct packet *p, const struct address *target)
{
	const struct address *to = &p->ip.destination;
	const __u8 *mac = p->eth.h_dest;

	return word(to, 0) == bpf_htonl(0xff020000) && word(to, 1) == 0 && word(to, 2) == bpf_htonl(1) &&
	       word(to, 3) == (word(target, 3) | bpf_htonl(0xff000000)) && mac[0] == 0x33 && mac[1] == 0x33 &&
	       mac[2] == 0xff && mac[3] == target->bytes[13] && mac[4] == target->bytes[14] &&
	       mac[5] == target->bytes[15];
}

/* Tells whether the address may be anybody's: no router's, and no other MAC's. */
static __always_inline bool is_learnable(const struct address *a)
{
	return is_link_local(a) && !is_of_mac(a) && !is_listed(a, NAMED_ROUTER);
}

/* Duplicate address detection: the instance asks whether somebody has the address that it is about to take. */
static __always_inline enum reason judge_dad(struct packet *p, const struct address *target, bool said)
{
	__u64 since;

	if (said || !is_heard_by_owner(p, target))
		return DROP_ND_INVALID;
	if (is_own_ipv6(p, target) || is_looked_for(p, target, &since))
		return PASS_ND;
	if (!is_learnable(target))
		return DROP_ND_SPOOF;
	learn(p, target);
	return PASS_ND;
}

CHECKED_ONCE enum reason nd_from_instance(struct __sk_buff *skb, struct packet *p)
{
	struct address target = {};
	bool said = false;
	bool solicits_router;
	enum reason reason;

	if (!p)
		return DROP_ND_INVALID;
	solicits_router = p->ip.icmp_type == ROUTER_SOLICITATION;
	if (p->ip.place != WHOLE || p->ip.hop_limit != ND_HOP_LIMIT || p->ip.icmp_code != 0)
		return DROP_ND_INVALID;
	if (!solicits_router && !load_target(skb, &p->ip, &target))
		return DROP_MALFORMED;
	reason = parse_nd_options(skb, p, &said);
	if (reason)
		return reason;
	if (solicits_router)
		return is_own_link_local(p, &p->ip.source) ? PASS_ND : DROP_IP_SPOOF;
	if (p->ip.icmp_type == NEIGHBOR_SOLICITATION && target.bytes[0] == 0xff)
		return DROP_ND_INVALID;
	if (p->ip.icmp_type == NEIGHBOR_SOLICITATION && is_unspecified(&p->ip.source))
		return judge_dad(p, &target, said);
	if (!is_own_ipv6(p, &p->ip.source))
		return DROP_IP_SPOOF;
	if (p->ip.icmp_type == NEIGHBOR_ADVERTISEMENT && !is_own_ipv6(p, &target))
		return DROP_ND_SPOOF;
	return PASS_ND;
}

static __always_inline enum reason mld_from_instance(struct packet *p)
{
	if (p->ip.place != WHOLE || p->ip.hop_limit != MLD_HOP_LIMIT)
		return DROP_ND_INVALID;
	if (!is_unspecified(&p->ip.source) && !is_own_link_local(p, &p->ip.source))
		return DROP_ND_INVALID;
	return PASS_ND;
}

static __always_inline enum reason neighbor_to_instance(struct packet *p, const struct address *target)
{
	if (p->ip.icmp_type == NEIGHBOR_SOLICITATION)
		return is_own_ipv6(p, target) ? PASS_ND : DROP_NOT_FOR_NIC;
	if (is_link_local(target))
		withdraw(p, target);
	return same_mac(p->eth.h_dest, p->nic.mac) ? PASS_ND : DROP_NOT_FOR_NIC;
}

CHECKED_ONCE enum reason nd_to_instance(struct __sk_buff *skb, struct packet *p)
{
	struct address target;

	if (!p)
		return DROP_ND_INVALID;
	if (p->ip.place != WHOLE || p->ip.hop_limit != ND_HOP_LIMIT || p->ip.icmp_code != 0)
		return DROP_ND_INVALID;
	if (is_neighbor_message(&p->ip)) {
		if (!load_target(skb, &p->ip, &target))
			return DROP_ND_INVALID;
		return neighbor_to_instance(p, &target);
	}
	if (!holds(&p->ip, ROUTER_ADVERTISEMENT_SIZE))
		return DROP_ND_INVALID;
	if (is_link_local(&p->ip.source) && is_named(&p->ip.source, NAMED_ROUTER, CONFIG_HAS_ROUTERS))
		return PASS_ND;
	return DROP_NOT_FOR_NIC;
}

#endif
