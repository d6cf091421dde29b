// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A softirq load of a stated size: a timer whose callback, which the kernel runs in softirq context, is busy for burn_ns by the clock, and comes again period_ns
 * after it began. Loaded by softirq_load.c. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define CLOCK_MONOTONIC 1
#define TURNS_MAX (1u << 22)

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Written by user space before the start. */
const volatile __u64 burn_ns;
const volatile __u64 period_ns;
/* Written by the callback. */
__u64 burned_ns;
__u64 n_callbacks;

struct load {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct load);
} loads SEC(".maps");

struct turn {
	__u64 until_ns;
};

static long turn(__u32 i, struct turn *t)
{
	(void)i;
	return bpf_ktime_get_ns() >= t->until_ns;
}

static int burn(void *map, __u32 *key, struct load *l)
{
	__u64 begin = bpf_ktime_get_ns(), end;
	struct turn t = { .until_ns = begin + burn_ns };

	(void)map;
	(void)key;
	bpf_loop(TURNS_MAX, turn, &t, 0);
	end = bpf_ktime_get_ns();
	burned_ns += end - begin;
	n_callbacks++;
	bpf_timer_start(&l->timer, end - begin < period_ns ? period_ns - (end - begin) : 1, 0);
	return 0;
}

SEC("tc")
int start(struct __sk_buff *skb)
{
	__u32 key = 0;
	struct load *l = bpf_map_lookup_elem(&loads, &key);

	(void)skb;
	if (!l || bpf_timer_init(&l->timer, &loads, CLOCK_MONOTONIC) || bpf_timer_set_callback(&l->timer, burn))
		return 1;
	return bpf_timer_start(&l->timer, 0, 0) ? 1 : 0;
}
