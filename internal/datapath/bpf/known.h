/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The short way, for nearly all traffic: plain packets are whole ones of TCP or UDP,
 * without options or extension headers, of which no step of docs/verdicts.md before
 * "Flows" has anything to say. If their flow is settled and stays as it is, they pass at
 * once; if there is none in the NIC's table, that page goes on at "Flows". Of
 * everything else nothing is said here: then all steps are taken, from the first.
 *
 * Nothing is copied but the flow's key, and what passes does so in one small function:
 * between two frames the bridge has put other things into the nearest cache.
 */
#ifndef GABION_KNOWN_H
#define GABION_KNOWN_H

#include "clock.h"
#include "count.h"
#include "dhcp.h"
#include "flow.h"
#include "maps.h"
#include "nic.h"
#include "offload.h"
#include "packet.h"
#include "parse.h"

#define IPV4_PLAIN 0x45 /* version, and a header without options */

/* What the short way knows of a packet. */
struct plain {
	__u32 slot; /* of the NIC, like the following */
	__u32 policy_set;
	__u32 net;
	__u32 epoch;
	__u32 now; /* ticks */
	__u32 upper; /* from the start of the frame, like end */
	__u32 end;
	__u32 payload;
	__u32 seq; /* TCP, this and the following */
	__u32 ack;
	enum direction direction;
	__u8 tcp_flags;
	__u8 version;
	__u8 protocol;
	struct flow_key key __attribute__((aligned(8))); /* written by words, as it is read */
};

static __always_inline void *at(struct __sk_buff *skb, __u32 offset)
{
	return (void *)(long)skb->data + offset;
}

static __always_inline bool is_there(struct __sk_buff *skb, void *end)
{
	return end <= (void *)(long)skb->data_end;
}

static __always_inline void copy_words(struct address *to, const struct in6_addr *from)
{
	((__u64 *)to)[0] = ((const __u64 *)from)[0];
	((__u64 *)to)[1] = ((const __u64 *)from)[1];
}

static __always_inline void map_words(struct address *to, __be32 ip)
{
	((__u64 *)to)[0] = 0;
	((__u64 *)to)[1] = bpf_htonl(0xffff) | (__u64)ip << 32;
}

/* Ports, protocol and padding. */
static __always_inline void set_ports(struct plain *p, __be16 sport, __be16 dport)
{
	__be16 rport = p->direction == EGRESS ? dport : sport;
	__be16 lport = p->direction == EGRESS ? sport : dport;

	((__u64 *)&p->key)[4] = rport | (__u32)lport << 16 | (__u64)p->protocol << 32;
}

/* No multicast, no broadcast. */
static __always_inline bool is_plain_address(__be32 ip)
{
	return (__u8)ip < 224;
}

/* Nor mapped. */
static __always_inline bool is_plain_address6(const struct in6_addr *a)
{
	return *(const __u64 *)a != 0 && *(const __u8 *)a != 0xff;
}

static __always_inline bool read_plain_ipv4(struct __sk_buff *skb, const struct nic *nic, struct plain *p)
{
	struct iphdr *ip = at(skb, ETH_HLEN);
	__be32 local, remote;

	if (!is_there(skb, ip + 1) || *(__u8 *)ip != IPV4_PLAIN || ip->frag_off & bpf_htons(IPV4_MORE | IPV4_OFFSET))
		return false;
	local = p->direction == EGRESS ? ip->saddr : ip->daddr;
	remote = p->direction == EGRESS ? ip->daddr : ip->saddr;
	if (!is_plain_address(remote) || !has_ipv4(nic, local))
		return false;
	map_words(&p->key.local, local);
	map_words(&p->key.remote, remote);
	p->version = 4;
	p->protocol = ip->protocol;
	p->upper = ETH_HLEN + sizeof(*ip);
	p->end = ETH_HLEN + bpf_ntohs(ip->tot_len);
	return true;
}

static __always_inline bool read_plain_ipv6(struct __sk_buff *skb, const struct nic *nic, struct plain *p)
{
	struct ipv6hdr *ip = at(skb, ETH_HLEN);

	if (!is_there(skb, ip + 1) || ip->version != 6 || !is_plain_address6(&ip->saddr) ||
	    !is_plain_address6(&ip->daddr))
		return false;
	copy_words(&p->key.local, p->direction == EGRESS ? &ip->saddr : &ip->daddr);
	copy_words(&p->key.remote, p->direction == EGRESS ? &ip->daddr : &ip->saddr);
	if (!has_ipv6(nic, &p->key.local))
		return false;
	p->version = 6;
	p->protocol = ip->nexthdr;
	p->upper = ETH_HLEN + sizeof(*ip);
	p->end = p->upper + bpf_ntohs(ip->payload_len);
	return true;
}

static __always_inline bool read_plain_tcp(struct __sk_buff *skb, struct plain *p)
{
	struct tcphdr *tcp = at(skb, p->upper);
	__u32 data;

	if (!is_there(skb, tcp + 1) || tcp->doff < 5)
		return false;
	data = p->upper + tcp->doff * 4;
	p->tcp_flags = ((__u8 *)tcp)[13];
	if (data > p->end)
		return false;
	set_ports(p, tcp->source, tcp->dest);
	p->seq = bpf_ntohl(tcp->seq);
	p->ack = bpf_ntohl(tcp->ack_seq);
	p->payload = p->end - data;
	return true;
}

static __always_inline bool read_plain_udp(struct __sk_buff *skb, struct plain *p)
{
	struct udphdr *udp = at(skb, p->upper);
	__u32 length;

	if (!is_there(skb, udp + 1))
		return false;
	length = bpf_ntohs(udp->len);
	if (length < sizeof(*udp) || p->upper + length > p->end || is_dhcp_server_port(udp->source))
		return false;
	set_ports(p, udp->source, udp->dest);
	p->payload = length - sizeof(*udp);
	return true;
}

static __always_inline bool read_plain(struct __sk_buff *skb, const struct nic *nic, struct plain *p)
{
	struct ethhdr *eth = at(skb, 0);
	bool is_read;

	if (!is_there(skb, eth + 1) || skb->vlan_present)
		return false;
	if (!same_mac(p->direction == EGRESS ? eth->h_source : eth->h_dest, nic->mac) || is_group_mac(eth->h_dest))
		return false;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		is_read = read_plain_ipv4(skb, nic, p);
	else
		is_read = eth->h_proto == bpf_htons(ETH_P_IPV6) && read_plain_ipv6(skb, nic, p);
	if (!is_read || p->end > skb->len)
		return false;
	if (p->protocol == IPPROTO_TCP)
		return read_plain_tcp(skb, p);
	return p->protocol == IPPROTO_UDP && read_plain_udp(skb, p);
}

/* What the kernel does afterwards, from the instance. */
static __always_inline bool is_plain_offload(struct __sk_buff *skb, const struct plain *p)
{
	__u32 place = p->upper + (p->protocol == IPPROTO_TCP ? TCP_CHECKSUM : UDP_CHECKSUM);

	return !is_encapsulated(skb) && (!leaves_checksum(skb) || checksum_place(skb) == place);
}

/* Whose packet it is, and in which epoch: read before anything that an epoch guards. */
static __always_inline bool know_plain(struct __sk_buff *skb, struct plain *p)
{
	__u32 ifindex = skb->ifindex, *epoch;
	struct nic *nic = bpf_map_lookup_elem(&nics, &ifindex);

	if (!nic || !read_plain(skb, nic, p) || (p->direction == EGRESS && !is_plain_offload(skb, p)))
		return false;
	p->slot = nic->slot;
	p->policy_set = nic->policy_set;
	p->net = nic->net;
	barrier();
	if (*(volatile __u32 *)&nic->ifindex != ifindex || p->slot == 0)
		return false;
	epoch = bpf_map_lookup_elem(&epochs, &p->slot);
	if (!epoch)
		return false;
	p->epoch = *(volatile __u32 *)epoch;
	p->now = now_ticks();
	return true;
}

/* Tells whether the flow is alive, admitted in this epoch, and stays what it is. */
static __always_inline bool stays(const struct plain *p, const struct flow *flow)
{
	return flow->state == FLOW_ESTABLISHED && flow->epoch == p->epoch &&
	       since(p->now, flow->last_seen) <= timeout_of(&p->key, FLOW_ESTABLISHED) &&
	       (p->protocol != IPPROTO_TCP || !(p->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST)));
}

static __always_inline void touch(const struct plain *p, struct flow *flow)
{
	const __u32 side = p->direction & 1;

	if (since(p->now, flow->last_seen) >= SECOND)
		flow->last_seen = p->now;
	if (p->protocol != IPPROTO_TCP)
		return;
	move(flow, &flow->end[side], FLOW_END << side, p->seq + p->payload);
	if (p->tcp_flags & TCP_ACK)
		move(flow, &flow->ack[side], FLOW_ACK << side, p->ack);
}

/* For tests to read. */
static __always_inline void leave_trace(enum reason reason, __u32 rule)
{
	__u32 zero = 0;
	struct packet *p;

	if (!clock_is_set)
		return;
	p = bpf_map_lookup_elem(&packets, &zero);
	if (!p)
		return;
	p->reason = reason;
	p->rule = rule;
}

static __always_inline void pass_known(struct __sk_buff *skb, const struct plain *p, struct flow *flow)
{
	touch(p, flow);
	count(skb, p->slot, PASS_FLOW, flow->rule, packets_in(skb, p->payload));
	leave_trace(PASS_FLOW, flow->rule);
}

/* Makes of it what "Flows" begins with. */
static __always_inline void unfold(struct __sk_buff *skb, const struct plain *plain, struct packet *p)
{
	p->direction = plain->direction;
	p->now = plain->now;
	p->epoch = plain->epoch;
	p->nic.slot = plain->slot;
	p->nic.policy_set = plain->policy_set;
	p->nic.net = plain->net;
	p->rule = 0;
	p->count = packets_in(skb, plain->payload);
	p->payload = plain->payload;
	p->seq = plain->seq;
	p->ack = plain->ack;
	p->tcp_flags = plain->protocol == IPPROTO_TCP ? plain->tcp_flags : 0;
	p->ip = (struct layers){ .version = plain->version, .protocol = plain->protocol, .place = WHOLE };
	if (plain->direction == EGRESS) {
		p->ip.source = plain->key.local;
		p->ip.destination = plain->key.remote;
		p->ip.sport = plain->key.lport;
		p->ip.dport = plain->key.rport;
	} else {
		p->ip.source = plain->key.remote;
		p->ip.destination = plain->key.local;
		p->ip.sport = plain->key.rport;
		p->ip.dport = plain->key.lport;
	}
	copy_key(&p->key, &plain->key);
	p->remote_met = false;
}

#endif
