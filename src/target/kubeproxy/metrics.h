/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kube-proxy's metrics (Prometheus text). Pure; fuzzed. */
#ifndef OFFKUBE_TARGET_KUBEPROXY_METRICS_H
#define OFFKUBE_TARGET_KUBEPROXY_METRICS_H

#include <stddef.h>
#include <stdint.h>

struct kp_metrics {
	uint64_t n_syncs; /* of both families */
	uint64_t sync_ns;
	uint64_t n_failures;
};

/* Reads a whole HTTP answer. Lines that are not understood are passed over; sums over families. */
void kp_metrics_parse(const char *text, size_t size, struct kp_metrics *ret);

#endif
