/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads /proc. Called by eval_scale.c. */
#include "memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"

/* Sum of the lines "key: N kB"; -EIO unless each of the n keys is there. */
static int sum_lines(const char *path, const char *const *keys, size_t n, int64_t *ret_kib, struct err *e)
{
	CLEANUP_FILE FILE *f = fopen(path, "re");
	char line[256], key[64];
	int64_t sum = 0;
	size_t found = 0;
	long long v;

	while (f && fgets(line, sizeof(line), f))
		for (size_t i = 0; i < n; i++)
			if (sscanf(line, "%63[^:]: %lld kB", key, &v) == 2 && str_eq(key, keys[i])) {
				sum += v;
				found++;
			}
	if (found != n)
		return err_set(e, -EIO, path, "cannot be read");
	*ret_kib = sum;
	return 0;
}

int memory_of_self_kib(bool peak, int64_t *ret_kib, struct err *e)
{
	const char *const keys[] = { peak ? "VmHWM" : "VmRSS" };

	return sum_lines("/proc/self/status", keys, ARRAY_LEN(keys), ret_kib, e);
}

int memory_of_kernel_kib(int64_t *ret_kib, struct err *e)
{
	static const char *const keys[] = { "SUnreclaim", "Percpu", "VmallocUsed" };

	return sum_lines("/proc/meminfo", keys, ARRAY_LEN(keys), ret_kib, e);
}
