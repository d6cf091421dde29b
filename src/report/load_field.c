/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Typed reads of a record's members, each with the place and the member in its message. Called by load_rec.c. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "report_int.h"

int rec_fail(struct rec *c, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	if (c->r < 0)
		return c->r;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->r = err_set(c->e, -EINVAL, c->place, "%s%s%s", c->type ? c->type : "", c->type ? " record: " : "", text);
	return c->r;
}

/* A copy without control characters (records are shown on terminals), cut to TEXT_SIZE_MAX at a code point. Kept once per text. */
const char *rec_keep(struct rec *c, const char *s)
{
	char *copy = map_get_str(c->rep->strings, s);
	size_t len = strlen(s);
	int r;

	if (copy)
		return copy;
	if (len > TEXT_SIZE_MAX) {
		len = TEXT_SIZE_MAX;
		while (len > 0 && ((unsigned char)s[len] & 0xc0) == 0x80)
			len--;
	}
	copy = arena_alloc(c->rep->arena, len + 1);
	if (!copy) {
		c->r = -ENOMEM;
		return "";
	}
	for (size_t i = 0; i < len; i++) {
		/* C1 controls are 0xc2 0x80 .. 0xc2 0x9f: the second byte becomes a no-break space. */
		bool c1 = i > 0 && (unsigned char)s[i - 1] == 0xc2 && (unsigned char)s[i] < 0xa0;

		if (c1)
			copy[i] = (char)0xa0;
		else
			copy[i] = (unsigned char)s[i] < 0x20 || s[i] == 0x7f ? ' ' : s[i];
	}
	r = map_put_str(c->rep->strings, s, copy, NULL);
	if (r < 0)
		c->r = r;
	return copy;
}

const char *rec_str(struct rec *c, const json_t *obj, const char *key)
{
	const json_t *v = json_object_get(obj, key);

	if (c->r < 0)
		return "";
	if (!json_is_string(v)) {
		(void)rec_fail(c, "\"%s\" is %s", key, v ? "no string" : "missing");
		return "";
	}
	return rec_keep(c, json_string_value(v));
}

const char *rec_str_or_null(struct rec *c, const json_t *obj, const char *key)
{
	const json_t *v = json_object_get(obj, key);

	return c->r < 0 || !v || json_is_null(v) ? NULL : rec_str(c, obj, key);
}

double rec_num(struct rec *c, const json_t *obj, const char *key, double min, double max)
{
	const json_t *v = json_object_get(obj, key);
	double d = json_number_value(v);

	if (c->r < 0)
		return min;
	if (json_is_number(v) && d >= min && d <= max)
		return d;
	if (v)
		(void)rec_fail(c, "\"%s\" is no number from %g to %g", key, min, max);
	else
		(void)rec_fail(c, "\"%s\" is missing", key);
	return min;
}

int64_t rec_int(struct rec *c, const json_t *obj, const char *key, int64_t min, int64_t max)
{
	const json_t *v = json_object_get(obj, key);

	if (c->r < 0)
		return min;
	if (json_is_integer(v) && json_integer_value(v) >= min && json_integer_value(v) <= max)
		return json_integer_value(v);
	if (v)
		(void)rec_fail(c, "\"%s\" is no integer from %" PRId64 " to %" PRId64, key, min, max);
	else
		(void)rec_fail(c, "\"%s\" is missing", key);
	return min;
}

bool rec_bool(struct rec *c, const json_t *obj, const char *key)
{
	const json_t *v = json_object_get(obj, key);

	if (c->r == 0 && !json_is_boolean(v))
		(void)rec_fail(c, "\"%s\" is %s", key, v ? "neither true nor false" : "missing");
	return json_is_true(v);
}

const json_t *rec_obj(struct rec *c, const json_t *obj, const char *key)
{
	const json_t *v = json_object_get(obj, key);

	if (c->r == 0 && !json_is_object(v))
		(void)rec_fail(c, "\"%s\" is %s", key, v ? "no object" : "missing");
	return c->r < 0 ? NULL : v;
}

const json_t *rec_list(struct rec *c, const json_t *obj, const char *key, size_t max)
{
	const json_t *v = json_object_get(obj, key);

	if (c->r == 0 && !json_is_array(v))
		(void)rec_fail(c, "\"%s\" is %s", key, v ? "no list" : "missing");
	else if (c->r == 0 && json_array_size(v) > max)
		(void)rec_fail(c, "\"%s\" has more than %zu members", key, max);
	return c->r < 0 ? NULL : v;
}
