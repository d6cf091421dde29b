/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads /proc. Called by eval_scale.c. */
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
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

int memory_of_self_begin(struct err *e)
{
	static const char peak_reset[] = "5"; /* proc(5) */
	CLEANUP_FD int fd = -1;

	(void)malloc_trim(0); /* nothing to give back: fine */
	fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, peak_reset, 1) != 1)
		return err_set_errno(e, -errno, "/proc/self/clear_refs", "the peak of memory cannot be reset");
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

#define REST_KIB 128 /* less than this in each of REST_LOOKS looks */
#define REST_LOOKS 3
#define REST_LOOK_MS 100
#define REST_TIMEOUT_NS (5 * NSEC_PER_SEC)

int memory_of_kernel_at_rest_kib(int64_t *ret_kib, struct err *e)
{
	uint64_t deadline = clock_now_ns(&clock_monotonic) + REST_TIMEOUT_NS;
	int64_t kib, next;
	int n_rest = 0, r = memory_of_kernel_kib(&kib, e);

	while (r == 0 && n_rest < REST_LOOKS && clock_now_ns(&clock_monotonic) < deadline) {
		(void)poll(NULL, 0, REST_LOOK_MS); /* between two looks at the condition */
		r = memory_of_kernel_kib(&next, e);
		if (r < 0)
			break;
		n_rest = next > kib - REST_KIB && next < kib + REST_KIB ? n_rest + 1 : 0;
		kib = next;
	}
	if (r < 0)
		return r;
	*ret_kib = kib;
	return n_rest < REST_LOOKS;
}
