/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who made whom among workloads and Pods. */
#ifndef OFFKUBE_SOURCE_FILE_OWNERS_H
#define OFFKUBE_SOURCE_FILE_OWNERS_H

#include "load.h"

/* Sets `workload` and `observed` of all records. 0 or -ENOMEM. */
int owners_resolve(struct load *l);

#endif
