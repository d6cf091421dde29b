/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to lab: taking down. */
#ifndef OFFKUBE_LAB_CLEAN_H
#define OFFKUBE_LAB_CLEAN_H

#include "internal.h"

/*
 * Servers (if `lab` is given), cgroups, namespaces, and, when nothing is left of those, the state file. Goes on
 * after a failure and returns the first. The caller holds the lock or owns the lab.
 */
int lab_destroy(const char *name, struct lab *lab, struct err *e);
/* Its owner lives, or it is kept and complete. */
bool lab_is_alive(const struct lab *lab);
/* As lab_clean of one name, for who holds the lock. 1 = something was there, 0, -errno. */
int lab_clean_locked(const char *name, struct err *e);

#endif
