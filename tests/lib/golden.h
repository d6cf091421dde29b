/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Texts of programs that must not change unnoticed. */
#ifndef OFFKUBE_TESTS_GOLDEN_H
#define OFFKUBE_TESTS_GOLDEN_H

#include "target/target.h"

/* What program_print() says of a full program and of a delta, as text and as JSON, is what full.txt, full.json, delta.txt and delta.json in tests/golden/FOLDER
 * hold; else the test fails. OFFKUBE_UPDATE_GOLDEN=1 writes them. */
void assert_golden(const struct target_ops *ops, const char *folder, const struct target_program *full,
		   const struct target_program *delta);

#endif
