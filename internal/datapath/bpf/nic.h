/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Whose frame it is, and what it owns.
 */
#ifndef GABION_NIC_H
#define GABION_NIC_H

#include "clock.h"
#include "maps.h"
#include "packet.h"

/*
 * Finds the interface's NIC. The kernel may hand an element of nics to another
 * key while we copy it; then it names another interface afterwards, and we look again.
 */
static __always_inline bool know_nic(struct packet *p, __u32 ifindex)
{
	for (int i = 0; i < 4; i++) {
		struct nic *nic = bpf_map_lookup_elem(&nics, &ifindex);
		if (!nic)
			return false;
		p->nic = *nic;
		barrier();
		if (*(volatile __u32 *)&nic->ifindex == ifindex)
			return p->nic.slot != 0;
	}
	return false;
}

/* Tells whether slot is in use, and reads the epoch before anything else is looked up. */
static __always_inline bool know_epoch(struct packet *p)
{
	__u32 *epoch = bpf_map_lookup_elem(&epochs, &p->nic.slot);
	if (!epoch)
		return false;
	p->epoch = *(volatile __u32 *)epoch;
	return true;
}

static __always_inline struct nic_state *state_of(struct packet *p)
{
	return bpf_map_lookup_elem(&nic_states, &p->nic.slot);
}

static __always_inline bool has_ipv4(const struct nic *nic, __be32 ip)
{
	for (int i = 0; i < ADDRESSES_PER_FAMILY; i++) {
		if (i == nic->n4)
			break;
		if (nic->addr4[i] == ip)
			return true;
	}
	return false;
}

static __always_inline bool has_ipv6(const struct nic *nic, const struct address *a)
{
	for (int i = 0; i < ADDRESSES_PER_FAMILY; i++) {
		if (i == nic->n6)
			break;
		if (same_address(&nic->addr6[i], a))
			return true;
	}
	return false;
}

static __always_inline bool owns_ipv4(const struct packet *p, __be32 ip)
{
	return has_ipv4(&p->nic, ip);
}

static __always_inline bool owns_ipv6(const struct packet *p, const struct address *a)
{
	return has_ipv6(&p->nic, a);
}

/* Tells whether EUI-64 made the address of some MAC. */
static __always_inline bool is_of_mac(const struct address *a)
{
	return a->bytes[11] == 0xff && a->bytes[12] == 0xfe;
}

/* The address that EUI-64 makes of the NIC's MAC. */
static __always_inline bool is_eui64(const struct packet *p, const struct address *a)
{
	const __u8 *mac = p->nic.mac;

	return word(a, 0) == bpf_htonl(0xfe800000) && word(a, 1) == 0 && is_of_mac(a) && a->bytes[8] == (mac[0] ^ 2) &&
	       a->bytes[9] == mac[1] && a->bytes[10] == mac[2] && a->bytes[13] == mac[3] && a->bytes[14] == mac[4] &&
	       a->bytes[15] == mac[5];
}

/* Tells whether the instance looks for the link-local address, and since when. */
static __always_inline bool is_looked_for(struct packet *p, const struct address *a, __u64 *since)
{
	struct nic_state *state = state_of(p);
	bool found = false;

	if (!state || !is_link_local(a))
		return false;
	bpf_spin_lock(&state->lock);
	for (int i = 0; i < LEARNED_PER_NIC; i++) {
		if (same_address(&state->learned[i].address, a)) {
			*since = state->learned[i].since;
			found = true;
		}
	}
	bpf_spin_unlock(&state->lock);
	return found;
}

/* Nobody answered in a second: it is the instance's. */
static __always_inline bool is_learned(struct packet *p, const struct address *a)
{
	__u64 since;

	return is_looked_for(p, a, &since) && now_ticks() >= since + SECOND;
}

static __always_inline bool is_own_link_local(struct packet *p, const struct address *a)
{
	return is_link_local(a) && (is_eui64(p, a) || is_learned(p, a));
}

/* IPv6 only: owned, or own link-local. */
static __noinline bool is_own_ipv6(struct packet *p, const struct address *a)
{
	return owns_ipv6(p, a) || is_own_link_local(p, a);
}

static __always_inline bool is_own(struct packet *p, const struct address *a)
{
	if (p->ip.version == 4)
		return owns_ipv4(p, word(a, 3));
	return is_own_ipv6(p, a);
}

/* The lock is held. Those behind it move up: they stay in the order in which they came. */
static __always_inline void unlearn(struct nic_state *state, const struct address *a)
{
	bool found = false;

	for (int i = 0; i < LEARNED_PER_NIC; i++) {
		found = found || same_address(&state->learned[i].address, a);
		if (!found)
			continue;
		if (i + 1 < LEARNED_PER_NIC)
			state->learned[i] = state->learned[i + 1];
		else
			map_unspecified(&state->learned[i].address);
	}
}

/* Learns a link-local address, in the place of the oldest if there is no other. */
static __always_inline void learn(struct packet *p, const struct address *a)
{
	struct nic_state *state = state_of(p);
	__u64 now = now_ticks();
	struct address oldest;

	if (!state)
		return;
	bpf_spin_lock(&state->lock);
	if (!is_unspecified(&state->learned[LEARNED_PER_NIC - 1].address)) {
		oldest = state->learned[0].address;
		unlearn(state, &oldest);
	}
	for (int i = 0; i < LEARNED_PER_NIC; i++) {
		if (is_unspecified(&state->learned[i].address)) {
			state->learned[i].address = *a;
			state->learned[i].since = now;
			break;
		}
	}
	bpf_spin_unlock(&state->lock);
}

/* Somebody else has the address. */
static __always_inline void withdraw(struct packet *p, const struct address *a)
{
	struct nic_state *state = state_of(p);

	if (!state)
		return;
	bpf_spin_lock(&state->lock);
	unlearn(state, a);
	bpf_spin_unlock(&state->lock);
}

/*
 * Takes one from an allowance that holds burst and regains one each interval
 * (ns). The allowance is one number, the time at which it is used up to.
 */
static __always_inline bool take(__u64 *used, __u64 burst, __u64 interval)
{
	__u64 now = now_ns();
	__u64 oldest = now > burst * interval ? now - burst * interval : 0;

	for (int i = 0; i < 8; i++) {
		__u64 found = *(volatile __u64 *)used;
		__u64 t = found > oldest ? found : oldest;
		if (t > now)
			return false;
		if (__sync_val_compare_and_swap(used, found, t + interval) == found)
			return true;
	}
	return false;
}

#endif
