/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The vocabulary as strings, made from funcs.def and drops.def. Used by everything that prints or parses a function, verdict or reason. */
#include "model/vocab.h"

#include <assert.h>
#include <errno.h>

#include "base/util.h"

struct function_entry {
	const char *name, *text;
};

static const struct function_entry functions[] = {
#define FUNCTION(id, name, text) [FUNC_##id] = { name, text },
#include "model/funcs.def"
#undef FUNCTION
};
static_assert(ARRAY_LEN(functions) == FUNC_MAX, "one entry a function");

static const char *const verdicts[] = {
	[VERDICT_PASS] = "pass",
	[VERDICT_TRANSLATE] = "translate",
	[VERDICT_REJECT] = "reject",
	[VERDICT_DROP] = "drop",
};
static_assert(ARRAY_LEN(verdicts) == VERDICT_MAX, "one name a verdict");

struct reason_entry {
	const char *name, *text;
	enum verdict verdict;
};

static const struct reason_entry reasons[] = {
#define REASON(id, name, verdict, text) [REASON_##id] = { name, text, VERDICT_##verdict },
#include "model/drops.def"
#undef REASON
};
static_assert(ARRAY_LEN(reasons) == REASON_MAX, "one entry a reason");

/* Values outside of an enum come from a bug or a torn record: printed, never read out of bounds. */
#define UNKNOWN "unknown"

const char *function_name(enum function f)
{
	return (unsigned int)f < FUNC_MAX ? functions[f].name : UNKNOWN;
}

const char *function_text(enum function f)
{
	return (unsigned int)f < FUNC_MAX ? functions[f].text : UNKNOWN;
}

const char *verdict_name(enum verdict v)
{
	return (unsigned int)v < VERDICT_MAX ? verdicts[v] : UNKNOWN;
}

const char *reason_name(enum reason r)
{
	return (unsigned int)r < REASON_MAX ? reasons[r].name : UNKNOWN;
}

const char *reason_text(enum reason r)
{
	return (unsigned int)r < REASON_MAX ? reasons[r].text : UNKNOWN;
}

enum verdict reason_verdict(enum reason r)
{
	return (unsigned int)r < REASON_MAX ? reasons[r].verdict : VERDICT_DROP;
}

int verdict_parse(const char *s)
{
	for (int v = 0; v < VERDICT_MAX; v++)
		if (str_eq(s, verdicts[v]))
			return v;
	return -EINVAL;
}

int reason_parse(const char *s)
{
	for (int r = 0; r < REASON_MAX; r++)
		if (str_eq(s, reasons[r].name))
			return r;
	return -EINVAL;
}
