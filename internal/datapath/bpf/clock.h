/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Time: nanoseconds of the monotonic clock for allowances, ticks for flows.
 */
#ifndef GABION_CLOCK_H
#define GABION_CLOCK_H

#include <stdbool.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

#define TICK_BITS 20 /* a tick is 2^20 ns */
#define TICKS(s)  ((__u32)(1000000000ULL * (s) >> TICK_BITS))
#define SECOND    TICKS(1)

/*
 * Tests set the clock, to compare what happens at an instant. Everybody else
 * loads false, and the verifier leaves no trace of the question in the program.
 */
const volatile bool clock_is_set;
__u64 set_clock; /* ns */

static __always_inline __u64 now_ns(void)
{
	return clock_is_set ? set_clock : bpf_ktime_get_ns();
}

/* For ticks the coarse clock is good enough, and costs a few ns instead of 20. Flows keep the low 32 bits. */
static __always_inline __u64 now_ticks(void)
{
	return (clock_is_set ? set_clock : bpf_ktime_get_coarse_ns()) >> TICK_BITS;
}

/* How long ago that was. Another CPU may have read the clock a little later than we. */
static __always_inline __u32 since(__u32 now, __u32 then)
{
	__u32 ticks = now - then;

	return ticks > -SECOND ? 0 : ticks;
}

#endif
