/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Puts a forked process into a pod: cgroup first, the namespace last. Called by those that fork clients. */
#include "place.h"

#include <errno.h>
#include <sched.h>

#include "net/cgroup.h"

static int move_to_cpus(uint64_t cpus)
{
	cpu_set_t set;

	if (!cpus)
		return 0;
	CPU_ZERO(&set);
	for (int i = 0; i < 64; i++)
		if (cpus & (1ull << i))
			CPU_SET(i, &set);
	return sched_setaffinity(0, sizeof(set), &set) < 0 ? -errno : 0;
}

int place_enter(int netns_fd, int cgroup_fd, uint64_t cpus)
{
	int r = cgroup_enter(cgroup_fd);

	if (r == 0)
		r = move_to_cpus(cpus);
	if (r == 0 && netns_fd >= 0 && setns(netns_fd, CLONE_NEWNET) < 0)
		r = -errno;
	return r;
}
