/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The servers and routers that the operator named.
 */
#ifndef GABION_NAMED_H
#define GABION_NAMED_H

#include "maps.h"

static __always_inline bool is_listed(const struct address *a, __u32 kind)
{
	struct named_key key = { .kind = kind, .address = *a };

	return bpf_map_lookup_elem(&named, &key) != NULL;
}

/* Tells whether a is among those of its kind. Where none is named, every address is. */
static __always_inline bool is_named(const struct address *a, __u32 kind, __u32 restricted)
{
	struct config *settings;
	__u32 zero = 0;

	settings = bpf_map_lookup_elem(&config, &zero);
	if (settings && !(settings->flags & restricted))
		return true;
	return is_listed(a, kind);
}

#endif
