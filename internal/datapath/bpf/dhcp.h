/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * DHCP and DHCPv6: an instance is a client and never a server.
 */
#ifndef GABION_DHCP_H
#define GABION_DHCP_H

#include <linux/udp.h>

#include "named.h"
#include "nic.h"
#include "packet.h"

#define DHCP_SERVER_PORT   67
#define DHCP_CLIENT_PORT   68
#define DHCPV6_CLIENT_PORT 546
#define DHCPV6_SERVER_PORT 547
#define BOOTP_REQUEST      1
#define BOOTP_REPLY        2
#define BOOTP_ETHERNET     1

/* As far as the client's MAC. */
struct bootp {
	__u8 operation;
	__u8 hardware;
	__u8 hardware_length;
	__u8 rest[25];
	__u8 client_mac[ETH_ALEN];
} __attribute__((packed, aligned(2)));

static __always_inline bool load_bootp(struct __sk_buff *skb, struct packet *p, struct bootp *bootp)
{
	return p->payload >= sizeof(*bootp) &&
	       load_of(skb, &p->ip, p->ip.upper + sizeof(struct udphdr), bootp, sizeof(*bootp));
}

static __always_inline bool is_dhcp_request(struct packet *p)
{
	__be32 source = word(&p->ip.source, 3);

	return p->ip.version == 4 && p->ip.place == WHOLE && is_udp(&p->ip, DHCP_CLIENT_PORT, DHCP_SERVER_PORT) &&
	       word(&p->ip.destination, 3) == BROADCAST && (source == 0 || owns_ipv4(p, source));
}

static __always_inline enum reason dhcp_from_instance(struct __sk_buff *skb, struct packet *p)
{
	struct bootp bootp;

	if (!load_bootp(skb, p, &bootp))
		return DROP_MALFORMED;
	if (bootp.operation != BOOTP_REQUEST || bootp.hardware != BOOTP_ETHERNET || bootp.hardware_length != ETH_ALEN ||
	    !same_mac(bootp.client_mac, p->nic.mac))
		return DROP_DHCP_SPOOF;
	return PASS_DHCP;
}

static __always_inline bool is_dhcp_server_port(__be16 port)
{
	return port == bpf_htons(DHCP_SERVER_PORT) || port == bpf_htons(DHCPV6_SERVER_PORT);
}

static __always_inline bool is_from_dhcp_server_port(struct packet *p)
{
	return p->ip.protocol == IPPROTO_UDP && is_dhcp_server_port(p->ip.sport);
}

static __always_inline bool is_dhcp_answer(struct __sk_buff *skb, struct packet *p)
{
	struct bootp bootp;

	return p->ip.version == 4 && is_udp(&p->ip, DHCP_SERVER_PORT, DHCP_CLIENT_PORT) && load_bootp(skb, p, &bootp) &&
	       bootp.operation == BOOTP_REPLY && bootp.hardware_length == ETH_ALEN &&
	       same_mac(bootp.client_mac, p->nic.mac) &&
	       is_named(&p->ip.source, NAMED_DHCP_SERVER, CONFIG_HAS_DHCP_SERVERS);
}

static __always_inline bool is_dhcpv6_request(struct packet *p)
{
	const struct address *to = &p->ip.destination; /* ff02::1:2 */

	return p->ip.version == 6 && p->ip.place == WHOLE && is_udp(&p->ip, DHCPV6_CLIENT_PORT, DHCPV6_SERVER_PORT) &&
	       word(to, 0) == bpf_htonl(0xff020000) && word(to, 1) == 0 && word(to, 2) == 0 &&
	       word(to, 3) == bpf_htonl(0x00010002) && is_own_link_local(p, &p->ip.source);
}

static __always_inline bool is_dhcpv6_answer(struct packet *p)
{
	return p->ip.version == 6 && is_udp(&p->ip, DHCPV6_SERVER_PORT, DHCPV6_CLIENT_PORT) &&
	       same_mac(p->eth.h_dest, p->nic.mac) && is_own_link_local(p, &p->ip.destination) &&
	       is_named(&p->ip.source, NAMED_DHCP_SERVER, CONFIG_HAS_DHCP_SERVERS);
}

#endif
