/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The scheduler group of the CPU meter's spinners. Private to measure/. */
#ifndef OFFKUBE_MEASURE_CPU_GROUP_H
#define OFFKUBE_MEASURE_CPU_GROUP_H

/*
 * Makes a cpu cgroup with cpu.idle=1 and returns an fd of its cgroup.procs (CLOEXEC), *ret_dir its folder (owned). -ENOENT when this host has no cpu controller
 * that lets us. Why: with automatic grouping (sched_autogroup) a spinner counts to the group of the session that it was started from, and by its
 * tiny weight drags the group's share of that CPU down against other sessions, so that servers of the lab wait. A group that is idle as a whole hurts nobody.
 */
int cpu_group_new(char **ret_dir, int *ret_procs_fd);
/* Removes the folder (NULL is fine) once its processes are gone. */
void cpu_group_free(char *dir);
/* Removes the empty folders that killed runs left; those in use stay. */
void cpu_group_clean(void);

#endif
