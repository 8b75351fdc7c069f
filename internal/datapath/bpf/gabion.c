// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The two programs at an instance's interface, written to be read beside
 * docs/verdicts.md: each step is one line here, in that page's order.
 *
 * A frame that the instance sends comes in at the tap, so tcx ingress is *from*
 * the instance and tcx egress *to* it. Everywhere else ingress and egress are the
 * instance's view.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "arp.h"
#include "clock.h"
#include "collect.h"
#include "count.h"
#include "dhcp.h"
#include "flow.h"
#include "former.h"
#include "fragment.h"
#include "known.h"
#include "maps.h"
#include "nd.h"
#include "nic.h"
#include "offload.h"
#include "packet.h"
#include "parse.h"
#include "quote.h"
#include "reasons.h"

/* linux/bpf.h of older distributions doesn't know tcx. */
#define TCX_NEXT -1
#define TCX_DROP 2

/* No action of the kernel's: the short way doesn't say. */
#define ALL_STEPS -2

#define ETHERTYPE_QINQ_OLD 0x9100

static __always_inline struct packet *receive(struct __sk_buff *skb, enum direction direction)
{
	__u32 zero = 0;
	struct packet *p = bpf_map_lookup_elem(&packets, &zero);

	if (!p)
		return NULL;
	p->direction = direction;
	p->now = now_ticks();
	p->rule = 0;
	p->count = 1;
	p->missed = false;
	p->payload = 0;
	p->tcp_flags = 0;
	p->ip = (struct layers){};
	if (!know_nic(p, skb->ifindex))
		p->nic.slot = 0;
	return p;
}

static __always_inline bool is_vlan(struct __sk_buff *skb, __be16 type)
{
	return skb->vlan_present || type == bpf_htons(ETH_P_8021Q) || type == bpf_htons(ETH_P_8021AD) ||
	       type == bpf_htons(ETHERTYPE_QINQ_OLD);
}

static __always_inline bool is_ethertype_allowed(struct packet *p)
{
	return is_ip(p) || p->eth.h_proto == bpf_htons(ETH_P_ARP) ||
	       (p->direction == EGRESS && p->eth.h_proto == bpf_htons(ETH_P_RARP));
}

/* Both directions, first. */
static __always_inline enum reason judge_frame(struct __sk_buff *skb, struct packet *p)
{
	if (!p->nic.slot || !know_epoch(p))
		return DROP_NO_POLICY;
	if (!load(skb, 0, &p->eth, sizeof(p->eth)))
		return DROP_MALFORMED;
	if (is_vlan(skb, p->eth.h_proto))
		return DROP_VLAN;
	if (!is_ethertype_allowed(p))
		return DROP_ETHERTYPE;
	return REASON_NONE;
}

/* Fragments, then flows. */
static __always_inline enum reason judge_packet(struct __sk_buff *skb, struct packet *p)
{
	if (p->ip.place == LATER && p->first.reason == PASS_ICMP_ERROR)
		return p->first.epoch == p->epoch ? PASS_ICMP_ERROR : DROP_FRAGMENT_ORPHAN;
	if (p->ip.place != LATER && is_error(&p->ip) && is_error_of_live_flow(skb, p))
		return PASS_ICMP_ERROR;
	set_key(p, &p->ip, p->direction);
	if (!is_tracked(&p->ip))
		return ask_packet(p);
	return judge_flow(p);
}

static __always_inline enum reason judge(struct __sk_buff *skb, struct packet *p)
{
	enum reason reason;

	p->count = packets_in(skb, p->payload);
	if (!is_fragment(p))
		return judge_packet(skb, p);
	reason = place_fragment(p);
	if (reason)
		return reason;
	reason = judge_packet(skb, p);
	follow_fragment(p, reason);
	return reason;
}

/* What an instance needs under any rules, and what it may never say. REASON_NONE is neither. */
static __always_inline enum reason serve_from_instance(struct __sk_buff *skb, struct packet *p)
{
	if (is_dhcp_request(p))
		return dhcp_from_instance(skb, p);
	if (is_from_dhcp_server_port(p))
		return DROP_DHCP_SERVER;
	if (is_router_message(&p->ip))
		return DROP_ROUTER;
	if (is_nd_from_instance(&p->ip))
		return nd_from_instance(skb, p);
	if (is_mld_report(&p->ip))
		return mld_from_instance(p);
	if (is_dhcpv6_request(p))
		return PASS_DHCP;
	return REASON_NONE;
}

static __always_inline enum reason serve_to_instance(struct __sk_buff *skb, struct packet *p)
{
	if (p->ip.place == WHOLE && is_dhcp_answer(skb, p))
		return PASS_DHCP;
	if (is_nd_to_instance(&p->ip))
		return nd_to_instance(skb, p);
	if (p->ip.place == WHOLE && is_mld_query(&p->ip))
		return PASS_ND;
	if (p->ip.place == WHOLE && is_dhcpv6_answer(p))
		return PASS_DHCP;
	return REASON_NONE;
}

static __always_inline enum reason judge_from_instance(struct __sk_buff *skb, struct packet *p)
{
	enum reason reason = judge_frame(skb, p);

	if (reason)
		return reason;
	reason = judge_offload(skb, p);
	if (reason)
		return reason;
	if (!same_mac(p->eth.h_source, p->nic.mac))
		return DROP_MAC_SPOOF;
	if (p->eth.h_proto == bpf_htons(ETH_P_RARP))
		return rarp_from_instance(skb, p);
	if (p->eth.h_proto == bpf_htons(ETH_P_ARP))
		return arp_from_instance(skb, p);

	reason = parse_ip(skb, p);
	if (reason)
		return reason;
	reason = judge_ip_offload(skb, p);
	if (reason)
		return reason;
	if (p->ip.place != LATER) {
		reason = serve_from_instance(skb, p);
		if (reason)
			return reason;
	}
	if (!is_own(p, &p->ip.source))
		return DROP_IP_SPOOF;
	if (is_group_mac(p->eth.h_dest) || is_multicast(&p->ip.destination))
		return DROP_MULTICAST;
	return judge(skb, p);
}

static __always_inline enum reason judge_to_instance(struct __sk_buff *skb, struct packet *p)
{
	enum reason reason = judge_frame(skb, p);

	if (reason)
		return reason;
	if (p->eth.h_proto == bpf_htons(ETH_P_ARP))
		return arp_to_instance(skb, p);
	if (!is_group_mac(p->eth.h_dest) && !same_mac(p->eth.h_dest, p->nic.mac))
		return DROP_NOT_FOR_NIC;

	reason = parse_ip(skb, p);
	if (reason)
		return reason;
	if (p->ip.place != LATER) {
		reason = serve_to_instance(skb, p);
		if (reason)
			return reason;
	}
	if (!same_mac(p->eth.h_dest, p->nic.mac))
		return DROP_NOT_FOR_NIC;
	if (!is_own(p, &p->ip.destination))
		return DROP_NOT_OWNED;
	return judge(skb, p);
}

static __always_inline int finish(struct __sk_buff *skb, struct packet *p, enum reason reason)
{
	p->reason = reason;
	if (!passes(reason) && is_taking_over())
		return TCX_DROP; /* the former programs have the last word, and count it */
	count(skb, p->nic.slot, reason, p->rule, p->count);
	if (is_worth_telling(reason))
		tell(p, reason);
	return passes(reason) ? TCX_NEXT : TCX_DROP;
}

/* Functions of their own: a packet of a known flow has nothing of theirs on its way. */
CHECKED_ONCE int steps_from_instance(struct __sk_buff *skb)
{
	struct packet *p = receive(skb, EGRESS);

	return p ? finish(skb, p, judge_from_instance(skb, p)) : TCX_DROP;
}

CHECKED_ONCE int steps_to_instance(struct __sk_buff *skb)
{
	struct packet *p = receive(skb, INGRESS);

	return p ? finish(skb, p, judge_to_instance(skb, p)) : TCX_DROP;
}

/*
 * A plain packet of no flow in the NIC's table. One that would be dropped takes all
 * steps if meanwhile, on another CPU, a flow was settled there.
 */
CHECKED_ONCE int judge_plain(struct __sk_buff *skb, struct plain *plain)
{
	__u32 zero = 0;
	struct packet *p = bpf_map_lookup_elem(&packets, &zero);
	enum reason reason;
	void *table;

	if (!p || !plain)
		return TCX_DROP;
	unfold(skb, plain, p);
	p->missed = true;
	reason = judge_flow(p);
	if (passes(reason))
		return finish(skb, p, reason);
	table = bpf_map_lookup_elem(&flows, &p->nic.slot);
	if (table && bpf_map_lookup_elem(table, &p->key))
		return ALL_STEPS;
	return finish(skb, p, reason);
}

/* The short way as far as it goes. */
static __always_inline int decide(struct __sk_buff *skb, enum direction direction)
{
	struct plain plain = { .direction = direction };
	struct flow *flow;
	void *table;

	if (!know_plain(skb, &plain))
		return ALL_STEPS;
	table = bpf_map_lookup_elem(&flows, &plain.slot);
	if (!table)
		return ALL_STEPS;
	flow = bpf_map_lookup_elem(table, &plain.key);
	if (!flow)
		return judge_plain(skb, &plain);
	if (!stays(&plain, flow))
		return ALL_STEPS;
	pass_known(skb, &plain, flow);
	return TCX_NEXT;
}

SEC("tcx/ingress")
int from_instance(struct __sk_buff *skb)
{
	int action = decide(skb, EGRESS);

	if (action == ALL_STEPS)
		action = steps_from_instance(skb);
	if (action == TCX_DROP && is_taking_over())
		bpf_tail_call(skb, &former_from_instance, 0);
	return action;
}

SEC("tcx/egress")
int to_instance(struct __sk_buff *skb)
{
	int action = decide(skb, INGRESS);

	if (action == ALL_STEPS)
		action = steps_to_instance(skb);
	if (action == TCX_DROP && is_taking_over())
		bpf_tail_call(skb, &former_to_instance, 0);
	return action;
}

/* Run by the agent, for one NIC after the other. */
SEC("syscall")
int collect_expired(struct collection *collection)
{
	struct walk walk = { .now = now_ns() >> TICK_BITS }; /* no coarse clock here */
	__u32 slot = collection->slot;
	void *table;

	table = bpf_map_lookup_elem(&flows, &slot);
	if (table)
		bpf_for_each_map_elem(table, collect_flow, &walk, 0);
	table = bpf_map_lookup_elem(&half_open, &slot);
	if (table)
		bpf_for_each_map_elem(table, collect_openers, &walk, 0);
	table = bpf_map_lookup_elem(&fragments, &slot);
	if (table)
		bpf_for_each_map_elem(table, collect_datagram, &walk, 0);
	collection->live = walk.live;
	collection->expired = walk.expired;
	return 0;
}

char __license[] SEC("license") = "GPL";
