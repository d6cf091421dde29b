/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The one list of reasons, for BPF: the programs count by it. User space includes model/vocab.h, which makes the same enum of the same list. */
#ifndef OFFKUBE_BPF_REASONS_H
#define OFFKUBE_BPF_REASONS_H

enum reason {
#define REASON(id, name, verdict, text) REASON_##id,
#include "model/drops.def"
#undef REASON
	REASON_MAX,
};

#endif
