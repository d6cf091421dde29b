/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lists of the vocabulary as enums and names: functions (funcs.def), verdicts and reasons (drops.def). */
#ifndef OFFKUBE_MODEL_VOCAB_H
#define OFFKUBE_MODEL_VOCAB_H

enum function {
#define FUNCTION(id, name, text) FUNC_##id,
#include "model/funcs.def"
#undef FUNCTION
	FUNC_MAX,
};

enum verdict { VERDICT_PASS, VERDICT_TRANSLATE, VERDICT_REJECT, VERDICT_DROP, VERDICT_MAX };

enum reason {
#define REASON(id, name, verdict, text) REASON_##id,
#include "model/drops.def"
#undef REASON
	REASON_MAX,
};

const char *function_name(enum function f); /* "service-lb" */
const char *function_text(enum function f);
const char *verdict_name(enum verdict v); /* "pass", "translate", "reject", "drop" */
const char *reason_name(enum reason r);
const char *reason_text(enum reason r);
enum verdict reason_verdict(enum reason r);
/* Enum value, or -EINVAL. */
int verdict_parse(const char *s);
int reason_parse(const char *s);

#endif
