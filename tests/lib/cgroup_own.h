/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cgroup (v2) of the calling process, to go back to. */
#ifndef OFFKUBE_TESTS_CGROUP_OWN_H
#define OFFKUBE_TESTS_CGROUP_OWN_H

/* CLOEXEC fd or -errno. */
int cgroup_open_own(void);

#endif
