/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What the kernel does with a frame after us: docs/verdicts.md, "What the kernel
 * does after the programs". An instance chooses that, and no byte of the frame
 * tells it: only the kernel's own struct sk_buff does.
 */
#ifndef GABION_OFFLOAD_H
#define GABION_OFFLOAD_H

#include <bpf/bpf_core_read.h>

#include "fragment.h"
#include "packet.h"
#include "parse.h"

#define CHECKSUM_PARTIAL 3 /* it is left to be written */

#define TCP_CHECKSUM  16
#define UDP_CHECKSUM  6
#define ICMP_CHECKSUM 2

/* Not as the kernel lays it out: the loader finds the fields by their names. */
struct sk_buff___offload {
	__u8 ip_summed : 2;
	__u8 encapsulation : 1;
	__u16 csum_start; /* from head, like mac_header */
	__u16 csum_offset; /* from csum_start */
	__u16 mac_header;
} __attribute__((preserve_access_index));

extern void *bpf_cast_to_kern_ctx(void *skb) __ksym;

static __always_inline bool leaves_checksum(struct __sk_buff *skb)
{
	struct sk_buff___offload *kernel = bpf_cast_to_kern_ctx(skb);

	return BPF_CORE_READ_BITFIELD(kernel, ip_summed) == CHECKSUM_PARTIAL;
}

static __always_inline bool is_encapsulated(struct __sk_buff *skb)
{
	struct sk_buff___offload *kernel = bpf_cast_to_kern_ctx(skb);

	return BPF_CORE_READ_BITFIELD(kernel, encapsulation);
}

/* Where the checksum will be written, from the start of the frame. */
static __always_inline __u32 checksum_place(struct __sk_buff *skb)
{
	struct sk_buff___offload *kernel = bpf_cast_to_kern_ctx(skb);

	return (__u16)(kernel->csum_start - kernel->mac_header) + kernel->csum_offset;
}

/* Tells whether that is where the protocol has its own. */
static __always_inline bool is_checksum_in_place(const struct packet *p, __u32 place)
{
	if (is_fragment(p))
		return false;
	if (p->ip.protocol == IPPROTO_TCP)
		return place == p->ip.upper + TCP_CHECKSUM;
	if (p->ip.protocol == IPPROTO_UDP)
		return place == p->ip.upper + UDP_CHECKSUM;
	if (is_icmp(&p->ip))
		return place == p->ip.upper + ICMP_CHECKSUM;
	return place >= p->ip.upper;
}

/* Before anything else is looked at. */
static __always_inline enum reason judge_offload(struct __sk_buff *skb, struct packet *p)
{
	if (is_encapsulated(skb) || (!is_ip(p) && leaves_checksum(skb)))
		return DROP_MALFORMED;
	return REASON_NONE;
}

/* Right behind Parsing IP. */
static __always_inline enum reason judge_ip_offload(struct __sk_buff *skb, struct packet *p)
{
	if (leaves_checksum(skb) && !is_checksum_in_place(p, checksum_place(skb)))
		return DROP_MALFORMED;
	if (is_fragment(p) && skb->gso_size)
		return DROP_FRAGMENT_INVALID;
	return REASON_NONE;
}

#endif
