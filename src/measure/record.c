/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes records. Called by eval.c and the benchmarks. */
#include "measure/record.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "base/cleanup.h"
#include "base/str.h"

struct record_writer {
	FILE *f;
	char *path;
};

int record_writer_open(const char *path, struct record_writer **ret, struct err *e)
{
	struct record_writer *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->path = strdup(path);
	w->f = w->path ? fopen(path, "we") : NULL;
	if (!w->f) {
		r = w->path ? -errno : -ENOMEM;
		record_writer_close(w);
		return err_set_errno(e, r, path, "cannot be written");
	}
	*ret = w;
	return 0;
}

void record_writer_close(struct record_writer *w)
{
	if (!w)
		return;
	if (w->f)
		(void)fclose(w->f); /* every record was flushed and checked */
	free(w->path);
	free(w);
}

int record_write(struct record_writer *w, const char *type, json_t *obj, struct err *e)
{
	CLEANUP_FREE char *line = NULL;
	json_t *head = json_pack("{s:i, s:s}", "schema", RECORD_SCHEMA, "type", type);
	int r = -ENOMEM;

	if (obj && head && json_object_update(head, obj) == 0)
		line = json_dumps(head, JSON_COMPACT);
	json_decref(obj);
	json_decref(head);
	if (!line)
		return err_set(e, r, w->path, "a record cannot be made: no memory, or text that is not UTF-8");
	if (fprintf(w->f, "%s\n", line) < 0 || fflush(w->f) != 0)
		return err_set_errno(e, -errno, w->path, "cannot be written");
	return 0;
}

/* The value behind "key<sep>" on the first line of a file that begins with key; "" when there is none. */
static void find_line(const char *path, const char *key, char sep, char *buf, size_t buf_size)
{
	CLEANUP_FILE FILE *f = fopen(path, "re");
	char line[512];

	buf[0] = '\0';
	while (f && fgets(line, sizeof(line), f)) {
		char *v = strchr(line, sep);

		if (strncmp(line, key, strlen(key)) != 0 || !v)
			continue;
		v += 1 + strspn(v + 1, " \t\"");
		v[strcspn(v, "\"\n")] = '\0';
		(void)snprintf(buf, buf_size, "%s", v);
		return;
	}
}

static void first_line(const char *path, char *buf, size_t buf_size)
{
	CLEANUP_FILE FILE *f = fopen(path, "re");

	buf[0] = '\0';
	if (f && fgets(buf, (int)buf_size, f))
		buf[strcspn(buf, "\n")] = '\0';
}

/* Runs under a hypervisor, by the CPU's own flag. */
static bool is_virtual(void)
{
	CLEANUP_FILE FILE *f = fopen("/proc/cpuinfo", "re");
	char line[4096];

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, "flags", 5) == 0)
			return strstr(line, " hypervisor") != NULL;
	return false;
}

json_t *record_machine(void)
{
	char cpu[128], os[128], governor[32], cc[32], load[64];
	struct utsname u = {};
	struct sysinfo si = {};

	(void)uname(&u); /* cannot fail with valid pointers */
	(void)sysinfo(&si);
	find_line("/proc/cpuinfo", "model name", ':', cpu, sizeof(cpu));
	find_line("/etc/os-release", "PRETTY_NAME", '=', os, sizeof(os));
	first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", governor, sizeof(governor));
	first_line("/proc/sys/net/ipv4/tcp_congestion_control", cc, sizeof(cc));
	first_line("/proc/loadavg", load, sizeof(load));
	return json_pack("{s:s, s:s, s:s, s:i, s:I, s:b, s:s, s:s, s:f}", "kernel", u.release, "os", os, "cpu", cpu,
			 "n_cpus", get_nprocs(), "memory_mib", (json_int_t)((uint64_t)si.totalram * si.mem_unit >> 20),
			 "virtual", is_virtual(), "governor", governor, "congestion_control", cc, "load_1m",
			 atof(load));
}
