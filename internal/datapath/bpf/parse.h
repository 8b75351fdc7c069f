/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Parsing IP: docs/verdicts.md, "Parsing IP". Nothing here knows of NICs or
 * rules. Offsets count from the start of the frame; lengths are held against the
 * IP packet's own end, never the frame's.
 */
#ifndef GABION_PARSE_H
#define GABION_PARSE_H

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "packet.h"

#define IPV4_OPTIONS 40 /* bytes, at most */

#define EXTENSION_HEADERS 8 /* at most */
#define HOP_BY_HOP        0
#define ROUTING           43
#define FRAGMENT          44
#define DESTINATION       60

#define IPV4_MORE   0x2000
#define IPV4_OFFSET 0x1fff

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

/* Not linux/icmp.h, which includes the C library. */
#define ICMP_ECHO_REPLY    0
#define ICMP_UNREACHABLE   3
#define ICMP_SOURCE_QUENCH 4
#define ICMP_REDIRECT      5
#define ICMP_ECHO_REQUEST  8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETER     12

#define ICMPV6_UNREACHABLE  1
#define ICMPV6_PARAMETER    4
#define ICMPV6_ECHO_REQUEST 128
#define ICMPV6_ECHO_REPLY   129

struct icmp {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be16 id; /* of an echo */
	__be16 sequence;
};

struct extension {
	__u8 next;
	__u8 length; /* in 8 bytes, without the first 8 */
	__be16 offset; /* in a fragment header, with the flags below */
	__be32 id;
};
#define IPV6_MORE   0x0001
#define IPV6_OFFSET 0xfff8

static __always_inline enum reason parse_ipv4_options(struct __sk_buff *skb, struct packet *p)
{
	__u32 length = p->ip.upper - ETH_HLEN - sizeof(struct iphdr);

	if (length == 0)
		return REASON_NONE;
	if (length > IPV4_OPTIONS)
		return DROP_MALFORMED;
	if (bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(struct iphdr), p->options, length))
		return DROP_MALFORMED;
	p->next_option = 0;
	/* Byte by byte: indexes that are constants cost the verifier least. */
	for (__u32 i = 0; i < IPV4_OPTIONS && i < length; i++) {
		__u8 type = p->options[i];

		if (i < p->next_option || type == IPOPT_NOOP)
			continue;
		if (type == IPOPT_END)
			break;
		if (i + 1 == length || i + 1 == IPV4_OPTIONS || p->options[i + 1] < 2 || i + p->options[i + 1] > length)
			return DROP_MALFORMED;
		if (type == IPOPT_LSRR || type == IPOPT_SSRR)
			return DROP_SOURCE_ROUTE;
		p->next_option = i + p->options[i + 1];
	}
	return REASON_NONE;
}

static __always_inline void place_ipv4(struct layers *ip, const struct iphdr *header)
{
	__u16 fragment = bpf_ntohs(header->frag_off);

	ip->more = fragment & IPV4_MORE;
	ip->fragment_offset = (fragment & IPV4_OFFSET) * 8;
	ip->fragment_id = header->id;
	ip->body = ip->upper;
	if (ip->fragment_offset)
		ip->place = LATER;
	else
		ip->place = ip->more ? FIRST : WHOLE;
}

static __always_inline void read_ipv4(struct layers *ip, const struct iphdr *header)
{
	map_ipv4(&ip->source, header->saddr);
	map_ipv4(&ip->destination, header->daddr);
	ip->version = 4;
	ip->protocol = header->protocol;
	ip->hop_limit = header->ttl;
	place_ipv4(ip, header);
}

static __always_inline enum reason parse_ipv4(struct __sk_buff *skb, struct packet *p)
{
	struct iphdr header;
	__u32 length;

	if (!load(skb, ETH_HLEN, &header, sizeof(header)) || header.version != 4 || header.ihl < 5)
		return DROP_MALFORMED;
	length = bpf_ntohs(header.tot_len);
	if (header.ihl * 4 > length || ETH_HLEN + length > skb->len)
		return DROP_MALFORMED;
	p->ip.upper = ETH_HLEN + header.ihl * 4;
	p->ip.end = ETH_HLEN + length;
	read_ipv4(&p->ip, &header);
	return parse_ipv4_options(skb, p);
}

static __always_inline bool is_extension(__u8 protocol)
{
	return protocol == HOP_BY_HOP || protocol == ROUTING || protocol == FRAGMENT || protocol == DESTINATION;
}

/* One header, in the page's order: is it a ninth, is it out of place, is it whole, is it one that we refuse. */
static __always_inline enum reason parse_extension(struct __sk_buff *skb, struct layers *ip, int i)
{
	struct extension header;
	__u32 at = ip->upper, length = sizeof(header);
	__u16 fragment;

	if (i == EXTENSION_HEADERS)
		return DROP_EXT_HEADERS;
	if (ip->protocol == HOP_BY_HOP && i > 0)
		return DROP_MALFORMED;
	if (!load_of(skb, ip, at, &header, sizeof(header)))
		return ip->place == FIRST ? DROP_FRAGMENT_INVALID : DROP_MALFORMED;
	if (ip->protocol != FRAGMENT)
		length += header.length * 8;
	if (at + length > ip->end)
		return ip->place == FIRST ? DROP_FRAGMENT_INVALID : DROP_MALFORMED;
	ip->upper = at + length;

	if (ip->protocol == ROUTING && (bpf_ntohs(header.offset) >> 8) == 0)
		return DROP_SOURCE_ROUTE;
	if (ip->protocol == FRAGMENT) {
		if (ip->place != WHOLE)
			return DROP_FRAGMENT_INVALID;
		fragment = bpf_ntohs(header.offset);
		ip->more = fragment & IPV6_MORE;
		ip->fragment_offset = fragment & IPV6_OFFSET;
		ip->fragment_id = header.id;
		ip->body = ip->upper;
		if (ip->fragment_offset)
			ip->place = LATER;
		else
			ip->place = ip->more ? FIRST : ATOMIC;
	}
	ip->protocol = header.next;
	return REASON_NONE;
}

/* Walks to the upper layer, or to the fragment header of a later fragment. */
CHECKED_ONCE enum reason parse_extensions(struct __sk_buff *skb, struct layers *ip)
{
	if (!ip)
		return DROP_MALFORMED;
	for (int i = 0; i <= EXTENSION_HEADERS; i++) {
		enum reason reason;

		if (!is_extension(ip->protocol) || ip->place == LATER)
			return REASON_NONE;
		reason = parse_extension(skb, ip, i);
		if (reason)
			return reason;
	}
	return DROP_EXT_HEADERS;
}

static __always_inline void read_ipv6(struct layers *ip, const struct ipv6hdr *header)
{
	__builtin_memcpy(&ip->source, &header->saddr, sizeof(ip->source));
	__builtin_memcpy(&ip->destination, &header->daddr, sizeof(ip->destination));
	ip->version = 6;
	ip->protocol = header->nexthdr;
	ip->hop_limit = header->hop_limit;
	ip->place = WHOLE;
	ip->more = false;
}

static __always_inline enum reason parse_ipv6(struct __sk_buff *skb, struct packet *p)
{
	struct ipv6hdr header;

	if (!load(skb, ETH_HLEN, &header, sizeof(header)) || header.version != 6)
		return DROP_MALFORMED;
	p->ip.upper = ETH_HLEN + sizeof(header);
	p->ip.end = p->ip.upper + bpf_ntohs(header.payload_len);
	if (p->ip.end > skb->len)
		return DROP_MALFORMED;
	read_ipv6(&p->ip, &header);
	if (is_mapped(&p->ip.source) || is_mapped(&p->ip.destination))
		return DROP_MAPPED;
	if (is_extension(p->ip.protocol))
		return parse_extensions(skb, &p->ip);
	return REASON_NONE;
}

static __always_inline bool parse_tcp(struct __sk_buff *skb, struct packet *p)
{
	struct tcphdr header;
	__u32 data;

	if (!load_of(skb, &p->ip, p->ip.upper, &header, sizeof(header)) || header.doff < 5)
		return false;
	data = p->ip.upper + header.doff * 4;
	if (data > p->ip.end)
		return false;
	p->ip.sport = header.source;
	p->ip.dport = header.dest;
	p->seq = bpf_ntohl(header.seq);
	p->ack = bpf_ntohl(header.ack_seq);
	p->tcp_flags = ((__u8 *)&header)[13];
	p->payload = p->ip.end - data;
	return true;
}

static __always_inline bool parse_udp(struct __sk_buff *skb, struct packet *p)
{
	struct udphdr header;
	__u32 length;

	if (!load_of(skb, &p->ip, p->ip.upper, &header, sizeof(header)))
		return false;
	length = bpf_ntohs(header.len);
	if (length < sizeof(header))
		return false;
	if (p->ip.place != FIRST && p->ip.upper + length > p->ip.end)
		return false;
	p->ip.sport = header.source;
	p->ip.dport = header.dest;
	p->payload = length - sizeof(header);
	return true;
}

static __always_inline bool parse_icmp(struct __sk_buff *skb, struct layers *ip)
{
	struct icmp header;

	if (!load_of(skb, ip, ip->upper, &header, sizeof(header)))
		return false;
	ip->icmp_type = header.type;
	ip->icmp_code = header.code;
	ip->sport = header.id;
	return true;
}

static __always_inline bool parse_upper(struct __sk_buff *skb, struct packet *p)
{
	if (p->ip.protocol == IPPROTO_TCP)
		return parse_tcp(skb, p);
	if (p->ip.protocol == IPPROTO_UDP)
		return parse_udp(skb, p);
	if (is_icmp(&p->ip))
		return parse_icmp(skb, &p->ip);
	return true;
}

CHECKED_ONCE enum reason parse_ip(struct __sk_buff *skb, struct packet *p)
{
	enum reason reason;

	if (!p)
		return DROP_MALFORMED;
	reason = p->eth.h_proto == bpf_htons(ETH_P_IP) ? parse_ipv4(skb, p) : parse_ipv6(skb, p);
	if (reason)
		return reason;
	if (p->ip.place != LATER && !parse_upper(skb, p))
		return p->ip.place == FIRST ? DROP_FRAGMENT_INVALID : DROP_MALFORMED;
	return REASON_NONE;
}

#endif
