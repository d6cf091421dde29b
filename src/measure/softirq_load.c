/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loads prog/softirq.bpf.c and starts its timer. Called by cpu_check.c. Closing the maps cancels the timer. */
#include "softirq_load.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "softirq.skel.h"

struct softirq_load {
	struct softirq_bpf *skel;
};

DEFINE_CLEANUP(struct softirq_load *, softirq_load_stop);

static int no_print(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

static int load(struct softirq_load *l, uint64_t burn_ns, uint64_t period_ns, struct err *e)
{
	libbpf_print_fn_t old = libbpf_set_print(no_print); /* what is wrong is said by us */
	int r = 0;

	l->skel = softirq_bpf__open();
	if (l->skel) {
		l->skel->rodata->burn_ns = burn_ns;
		l->skel->rodata->period_ns = period_ns;
		r = softirq_bpf__load(l->skel);
	}
	(void)libbpf_set_print(old);
	if (!l->skel)
		return -ENOMEM;
	if (r < 0)
		return err_set_errno(e, -EOPNOTSUPP, "softirq load", "no BPF timer can be had (error %d)", -r);
	return 0;
}

int softirq_load_start(uint64_t burn_ns, uint64_t period_ns, struct softirq_load **ret, struct err *e)
{
	CLEANUP(softirq_load_stopp) struct softirq_load *l = calloc(1, sizeof(*l));
	uint8_t packet[64] = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet));
	int r;

	if (!l)
		return -ENOMEM;
	r = load(l, burn_ns, period_ns, e);
	if (r == 0 && (bpf_prog_test_run_opts(bpf_program__fd(l->skel->progs.start), &opts) < 0 || opts.retval))
		r = err_set(e, -EOPNOTSUPP, "softirq load", "the BPF timer does not start");
	if (r == 0)
		*ret = TAKE_PTR(l);
	return r;
}

uint64_t softirq_load_burned_ns(const struct softirq_load *l)
{
	return *(volatile uint64_t *)&l->skel->bss->burned_ns;
}

void softirq_load_stop(struct softirq_load *l)
{
	if (!l)
		return;
	softirq_bpf__destroy(l->skel);
	free(l);
}
