/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What is known of one frame while it is judged, and how its bytes are read.
 */
#ifndef GABION_PACKET_H
#define GABION_PACKET_H

#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "reasons.h"

#define BROADCAST         0xffffffff
#define IPPROTO_IPV4_ICMP 1
#define IPPROTO_IPV6_ICMP 58

/* Where a packet stands in its datagram. */
enum BYTE place {
	WHOLE, /* no fragment header; IPv4: no fragment */
	ATOMIC, /* IPv6: a fragment header that divides nothing */
	FIRST,
	LATER,
};

/* An IP packet from its network header to its upper layer: the frame's, or one that an ICMP error quotes. */
struct layers {
	struct address source;
	struct address destination;
	__u32 upper; /* where the upper layer begins, from the start of the frame */
	__u32 end; /* where the packet ends: what follows is padding */
	__u32 body; /* from where fragment offsets count */
	__u32 fragment_offset; /* in bytes */
	__be32 fragment_id;
	__be16 sport; /* TCP and UDP; ICMP: the identifier of an echo; 0 for the others */
	__be16 dport;
	__u8 version; /* 4 or 6; 0 while the addresses are not known */
	__u8 protocol;
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 hop_limit;
	enum place place;
	bool more; /* fragments */
};

struct packet {
	struct nic nic; /* a copy: see struct nic */
	struct ethhdr eth;
	enum direction direction;
	enum reason reason; /* what became of the last one, for tests to read */
	bool remote_met; /* remote_set is known */
	bool left; /* the NIC's table holds something under the key, dead or alive */
	bool settled; /* and alive */
	bool missed; /* it was looked for already, and held nothing */
	struct layers ip;
	struct layers quoted;
	struct flow_key key __attribute__((aligned(8))); /* of the flow in question */
	struct admitted_key asked; /* of the rules */
	struct cidr_key asked_remote;
	struct flow flow; /* that is not settled, or as it is stored first */
	struct fragment_key datagram; /* of a fragment */
	struct fragment first; /* of that datagram, what is known */
	__u32 epoch; /* read once, before anything that an epoch guards */
	__u32 now; /* ticks */
	__u32 remote_set; /* of the key's remote, if that was looked up */
	__u32 rule; /* that admits; 0 is none */
	__u32 count; /* packets that it stands for: an offload's many are one until a device divides them */
	__u32 seq; /* TCP, this and the following */
	__u32 ack;
	__u32 payload; /* TCP and UDP, behind their headers */
	__u8 tcp_flags;
	__u8 options[40]; /* IPv4 */
	volatile __u8 next_option; /* volatile: the verifier would follow its every value */
	struct event event; /* as it is sent */
};

/*
 * One for each CPU: it is too big for the stack, programs of these hooks don't
 * interrupt each other, and as the verifier doesn't follow what is in a map, the
 * many ways through the parser are one again behind it.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct packet);
} packets SEC(".maps");

/*
 * A function that the verifier checks once, by itself, and not again at each
 * call. It can't take pointers to maps, and takes those to a packet for what may
 * be null: such functions begin by refusing that.
 */
#define CHECKED_ONCE __noinline

/*
 * Copies size bytes of the frame from offset; false if they are not there. The
 * first access is direct; what a guest's offload left in fragments of the skb
 * takes the helper. Never bpf_skb_pull_data: kernels before 6.16 could panic.
 */
static __always_inline bool load(struct __sk_buff *skb, __u32 offset, void *to, __u32 size)
{
	void *data = (void *)(long)skb->data;
	void *data_end = (void *)(long)skb->data_end;

	if (offset < 2048 && data + offset + size <= data_end) {
		/* The casts make the compiler copy words, not bytes. */
		__builtin_memcpy((__u32 *)to, (__u32 *)(data + offset), size);
		return true;
	}
	return bpf_skb_load_bytes(skb, offset, to, size) == 0;
}

/* The same, where the bytes must belong to the IP packet. */
static __always_inline bool load_of(struct __sk_buff *skb, const struct layers *ip, __u32 offset, void *to, __u32 size)
{
	return offset + size <= ip->end && load(skb, offset, to, size);
}

static __always_inline __be32 word(const struct address *a, int i)
{
	return ((const __be32 *)a->bytes)[i];
}

static __always_inline bool same_address(const struct address *a, const struct address *b)
{
	return word(a, 3) == word(b, 3) && word(a, 2) == word(b, 2) && word(a, 1) == word(b, 1) &&
	       word(a, 0) == word(b, 0);
}

static __always_inline bool is_mapped(const struct address *a)
{
	return word(a, 0) == 0 && word(a, 1) == 0 && word(a, 2) == bpf_htonl(0xffff);
}

static __always_inline bool is_unspecified(const struct address *a)
{
	return word(a, 0) == 0 && word(a, 1) == 0 && word(a, 2) == 0 && word(a, 3) == 0;
}

static __always_inline bool is_link_local(const struct address *a)
{
	return a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;
}

static __always_inline bool is_multicast(const struct address *a)
{
	if (is_mapped(a))
		return (a->bytes[12] & 0xf0) == 0xe0 || word(a, 3) == BROADCAST;
	return a->bytes[0] == 0xff;
}

static __always_inline void map_ipv4(struct address *a, __be32 ip)
{
	__be32 *words = (__be32 *)a->bytes;

	words[0] = 0;
	words[1] = 0;
	words[2] = bpf_htonl(0xffff);
	words[3] = ip;
}

static __always_inline void map_unspecified(struct address *a)
{
	__be32 *words = (__be32 *)a->bytes;

	words[0] = words[1] = words[2] = words[3] = 0;
}

/* MACs lie at even addresses in everything that we read them from. */
static __always_inline bool same_mac(const __u8 *a, const __u8 *b)
{
	const __u16 *x = (const __u16 *)a, *y = (const __u16 *)b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2];
}

static __always_inline bool is_group_mac(const __u8 *mac)
{
	return mac[0] & 1;
}

static __always_inline bool is_broadcast_mac(const __u8 *mac)
{
	const __u16 *x = (const __u16 *)mac;

	return x[0] == 0xffff && x[1] == 0xffff && x[2] == 0xffff;
}

/* Both are at multiples of 8. */
static __always_inline void copy_key(struct flow_key *to, const struct flow_key *from)
{
	for (int i = 0; i < sizeof(*to) / sizeof(__u64); i++)
		((__u64 *)to)[i] = ((const __u64 *)from)[i];
}

static __always_inline bool is_ip(const struct packet *p)
{
	return p->eth.h_proto == bpf_htons(ETH_P_IP) || p->eth.h_proto == bpf_htons(ETH_P_IPV6);
}

static __always_inline bool is_icmp(const struct layers *ip)
{
	return ip->protocol == (ip->version == 4 ? IPPROTO_IPV4_ICMP : IPPROTO_IPV6_ICMP);
}

static __always_inline bool is_icmpv6(const struct layers *ip)
{
	return ip->version == 6 && ip->protocol == IPPROTO_IPV6_ICMP;
}

static __always_inline bool is_udp(const struct layers *ip, __u16 sport, __u16 dport)
{
	return ip->protocol == IPPROTO_UDP && ip->sport == bpf_htons(sport) && ip->dport == bpf_htons(dport);
}

static __always_inline bool passes(enum reason reason)
{
	return reason >= PASS_FLOW && reason <= PASS_ICMP_ERROR;
}

#endif
