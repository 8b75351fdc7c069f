/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * ARP and RARP.
 */
#ifndef GABION_ARP_H
#define GABION_ARP_H

#include "nic.h"
#include "packet.h"

#define ARP_ETHERNET  1
#define ARP_REQUEST   1
#define ARP_REPLY     2
#define RARP_REQUEST  3
#define RARP_BURST    10
#define RARP_INTERVAL 1000000000ULL

struct arp {
	__be16 hardware;
	__be16 protocol;
	__u8 hardware_length;
	__u8 protocol_length;
	__be16 operation;
	__u8 sender_mac[ETH_ALEN];
	__be32 sender;
	__u8 target_mac[ETH_ALEN];
	__be32 target;
} __attribute__((packed, aligned(2)));

static __always_inline bool load_arp(struct __sk_buff *skb, struct arp *arp)
{
	return load(skb, ETH_HLEN, arp, sizeof(*arp)) && arp->hardware == bpf_htons(ARP_ETHERNET) &&
	       arp->protocol == bpf_htons(ETH_P_IP) && arp->hardware_length == ETH_ALEN &&
	       arp->protocol_length == sizeof(__be32);
}

static __always_inline bool is_arp(const struct arp *arp)
{
	return arp->operation == bpf_htons(ARP_REQUEST) || arp->operation == bpf_htons(ARP_REPLY);
}

/* qemu announces a guest so after a migration. */
static __always_inline enum reason rarp_from_instance(struct __sk_buff *skb, struct packet *p)
{
	struct nic_state *state = state_of(p);
	struct arp arp;

	if (!load_arp(skb, &arp) || arp.operation != bpf_htons(RARP_REQUEST))
		return DROP_ARP_INVALID;
	if (!same_mac(arp.sender_mac, p->nic.mac) || !same_mac(arp.target_mac, p->nic.mac))
		return DROP_ARP_SPOOF;
	if (!state || !take(&state->rarp_time, RARP_BURST, RARP_INTERVAL))
		return DROP_RARP_RATE;
	return PASS_ARP;
}

static __always_inline enum reason arp_from_instance(struct __sk_buff *skb, struct packet *p)
{
	struct arp arp;
	bool probe;

	if (!load_arp(skb, &arp) || !is_arp(&arp))
		return DROP_ARP_INVALID;
	probe = arp.sender == 0 && arp.operation == bpf_htons(ARP_REQUEST);
	if (!same_mac(arp.sender_mac, p->nic.mac))
		return DROP_ARP_SPOOF;
	if (!probe && !owns_ipv4(p, arp.sender))
		return DROP_ARP_SPOOF;
	if (is_group_mac(p->eth.h_dest) && !is_broadcast_mac(p->eth.h_dest))
		return DROP_MULTICAST;
	return PASS_ARP;
}

static __always_inline enum reason arp_to_instance(struct __sk_buff *skb, struct packet *p)
{
	struct arp arp;

	if (!load_arp(skb, &arp) || !is_arp(&arp))
		return DROP_ARP_INVALID;
	if (same_mac(p->eth.h_dest, p->nic.mac))
		return PASS_ARP;
	if (!is_broadcast_mac(p->eth.h_dest))
		return DROP_NOT_FOR_NIC;
	if (arp.operation == bpf_htons(ARP_REQUEST) && owns_ipv4(p, arp.target))
		return PASS_ARP;
	/* An announcement: the neighbour's address is where it says. */
	if (arp.sender == arp.target && !owns_ipv4(p, arp.sender))
		return PASS_ARP;
	return DROP_NOT_FOR_NIC;
}

#endif
