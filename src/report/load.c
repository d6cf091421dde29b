/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads records.jsonl line by line. Called by app/ through report_load(), and by the fuzzer through report_load_stream(). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report_int.h"

/* One line at a time, in a buffer of bounded size. */
struct lines {
	FILE *f;
	char *buf; /* LINE_SIZE_MAX + 1 */
	size_t size; /* of the line, without its newline */
	size_t number;
	bool whole; /* it ended in a newline */
};

/* 1 = a line, 0 = end, -EFBIG, -errno. */
static int next_line(struct lines *l)
{
	int ch;

	l->size = 0;
	l->whole = false;
	while ((ch = getc_unlocked(l->f)) != EOF) {
		if (l->size == 0)
			l->number++;
		if (ch == '\n') {
			l->whole = true;
			return 1;
		}
		if (l->size == LINE_SIZE_MAX)
			return -EFBIG;
		l->buf[l->size++] = (char)ch;
	}
	if (ferror(l->f))
		return errno ? -errno : -EIO;
	return l->size > 0;
}

static int take_line(struct report *rep, const struct lines *l, const char *place, struct err *e)
{
	struct rec c = { .rep = rep, .place = place, .e = e };
	json_error_t why;
	json_t *obj = json_loadb(l->buf, l->size, JSON_REJECT_DUPLICATES, &why);
	const json_t *schema = json_object_get(obj, "schema");

	if (!obj && !l->whole) {
		rep->cut_line = l->number;
		return 0;
	}
	if (!obj)
		return rec_fail(&c, "no JSON: %s (column %d)", why.text, why.column);
	c.obj = obj;
	if (!json_is_object(obj))
		(void)rec_fail(&c, "a record is a JSON object");
	else if (!json_is_integer(schema))
		(void)rec_fail(&c, "\"schema\" is missing or no integer");
	else if (json_integer_value(schema) == 1)
		(void)rec_fail(
			&c,
			"schema 1: an older OffKube wrote these records, and this one reads schema %d only. Measure again, or use the "
			"OffKube of that time; its commit is in the run record",
			REPORT_SCHEMA);
	else if (json_integer_value(schema) != REPORT_SCHEMA)
		(void)rec_fail(&c, "schema %" JSON_INTEGER_FORMAT ", but this program reads schema %d",
			       json_integer_value(schema), REPORT_SCHEMA);
	c.type = rec_str(&c, obj, "type");
	if (c.r == 0)
		c.r = report_take_record(&c);
	json_decref(obj);
	return c.r;
}

static int take_lines(struct report *rep, struct lines *l, const char *name, struct err *e)
{
	char place[256];
	int r;

	while ((r = next_line(l)) > 0) {
		(void)snprintf(place, sizeof(place), "%s:%zu", name, l->number);
		if (l->size == 0)
			return err_set(e, -EINVAL, place, "an empty line where a record should be");
		r = take_line(rep, l, place, e);
		if (r < 0)
			return r == -ENOMEM ? err_set(e, r, place, "no memory for the record") : r;
	}
	(void)snprintf(place, sizeof(place), "%s:%zu", name, l->number);
	if (r == -EFBIG)
		return err_set(e, -EINVAL, place, "a line longer than %u bytes", LINE_SIZE_MAX);
	if (r < 0)
		return err_set_errno(e, r, name, "cannot be read");
	if (!rep->have_run)
		return err_set(e, -EINVAL, name, "holds no run record: nothing was recorded%s",
			       rep->cut_line ? ", the first line is cut" : "");
	return 0;
}

int report_load_stream(FILE *f, const char *name, struct report **ret, struct err *e)
{
	CLEANUP(report_freep) struct report *rep = calloc(1, sizeof(*rep));
	CLEANUP_FREE char *buf = malloc(LINE_SIZE_MAX + 1);
	struct lines l = { .f = f, .buf = buf };
	int r;

	if (!rep || !buf)
		return err_set(e, -ENOMEM, name, "no memory");
	rep->status = RUN_KILLED; /* until an end record says otherwise */
	r = arena_new(&rep->arena);
	if (r == 0)
		r = map_new(&rep->strings);
	if (r == 0)
		r = take_lines(rep, &l, name, e);
	if (r == 0)
		r = report_evaluate(rep, e);
	if (r == 0)
		r = report_make_answer(rep);
	if (r < 0)
		return err_set_errno(e, r, name, "cannot be evaluated");
	*ret = TAKE_PTR(rep);
	return 0;
}

int report_load(const char *dir, struct report **ret, struct err *e)
{
	CLEANUP_FREE char *path = str_printf("%s/records.jsonl", dir);
	CLEANUP_FILE FILE *f = NULL;

	if (!path)
		return -ENOMEM;
	f = fopen(path, "re");
	if (!f)
		return err_set_errno(e, -errno, path, "cannot be read");
	return report_load_stream(f, path, ret, e);
}
