/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Figures that others published: reference lines, never our own claims. Private to report/. */
#ifndef OFFKUBE_REPORT_PUBLISHED_H
#define OFFKUBE_REPORT_PUBLISHED_H

#include <stddef.h>

/* One row of the table on the page. */
struct published {
	const char *source, *figure;
	const char *beside; /* which of our figures it belongs to */
};
extern const struct published published[];
extern const size_t n_published;

/* Time until one change is programmed, kube-proxy in nftables mode. */
struct published_change {
	double services, ms;
};
extern const struct published_change published_changes[];
extern const size_t n_published_changes;

/* Cores that carry 10 Gbit/s between two bare-metal machines; softirq time was not counted there. */
#define PUBLISHED_CORES_PER_10G 0.68

#endif
