/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Manifests of any bytes: a snapshot, or an error in words and nothing else. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "source/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/*
	 * Small CIDRs: a manifest may ask for two thousand million replicas, which says nothing
	 * about the parser.
	 */
	struct source_file_conf conf = { .pod_cidr = { "10.244.0.0/24", "fd00:10:244::/56" },
					 .service_cidr = { "10.96.0.0/24", NULL } };
	struct source_report report = {};
	struct snapshot *s = NULL;
	struct err e = {};
	int r;

	conf.ipv4_only = size && data[0] == '#'; /* a comment decides, so that the rest stays what it is */
	r = source_file_parse(&conf, "fuzz.yaml", (const char *)data, size, &s, &report, &e);
	if (r == 0 ? !s || e.code : s || e.code != r || !*e.text || report.n_kinds)
		abort();
	snapshot_unref(s);
	return 0;
}
