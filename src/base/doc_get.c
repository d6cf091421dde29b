/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Typed reads from a document. Called by source/ for each field. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/doc.h"
#include "base/util.h"

#define SHOW_LEN 64
#define NUMBER_LEN_MAX 80

const struct doc_node *doc_get(const struct doc_node *map, const char *key)
{
	if (!map || map->type != DOC_MAP)
		return NULL;
	for (size_t i = 0; i < map->n; i++) {
		if (strcmp(map->key[i], key) == 0)
			return map->child[i]->type == DOC_NULL ? NULL : map->child[i];
	}
	return NULL;
}

int doc_err(const struct doc_node *at, const char *path, struct err *e, const char *fmt, ...)
{
	char place[256], text[400];
	va_list ap;

	if (!e)
		return -EINVAL;
	if (at)
		(void)snprintf(place, sizeof(place), "line %u: %s", at->line, path); /* err_set cuts as well */
	else
		(void)snprintf(place, sizeof(place), "%s", path);
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(e, -EINVAL, place, "%s", text);
}

/* 1 = true, 0 = false, -1 = no bool. */
static int parse_bool(const char *s)
{
	static const char *const yes[] = { "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y" };
	static const char *const no[] = { "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N" };

	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		if (strcmp(s, yes[i]) == 0)
			return 1;
	}
	for (size_t i = 0; i < ARRAY_LEN(no); i++) {
		if (strcmp(s, no[i]) == 0)
			return 0;
	}
	return -1;
}

/* The base that a number's prefix says; *s moves behind it. */
static int number_base(const char **s)
{
	const char *p = *s;

	if (p[0] != '0' || !p[1])
		return 10;
	*s = p + 2;
	switch (tolower((unsigned char)p[1])) {
	case 'x':
		return 16;
	case 'o':
		return 8;
	case 'b':
		return 2;
	default:
		*s = p + 1;
		return 8;
	}
}

/* [+-] (decimal | 0x | 0o | 0 octal | 0b), underscores between digits left out. 0, -EINVAL no integer, -ERANGE. */
static int parse_int(const char *s, int64_t *ret)
{
	char digits[NUMBER_LEN_MAX + 2];
	size_t n = 0;
	char *end = NULL;
	int base;

	if (*s == '-')
		digits[n++] = '-';
	if (*s == '-' || *s == '+')
		s++;
	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	base = number_base(&s);
	for (; *s; s++) {
		if (*s == '_')
			continue;
		if (!isalnum((unsigned char)*s) || n > NUMBER_LEN_MAX)
			return -EINVAL;
		digits[n++] = *s;
	}
	digits[n] = '\0';
	if (!n || !isalnum((unsigned char)digits[n - 1]))
		return -EINVAL;
	errno = 0;
	*ret = strtoll(digits, &end, base);
	if (*end)
		return -EINVAL;
	return errno == ERANGE ? -ERANGE : 0;
}

static bool is_float(const char *s)
{
	static const char *const words[] = { ".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN" };
	size_t digits = 0;

	if (*s == '-' || *s == '+')
		s++;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcmp(s, words[i]) == 0)
			return true;
	}
	for (; isdigit((unsigned char)*s); s++)
		digits++;
	if (*s == '.') {
		for (s++; isdigit((unsigned char)*s); s++)
			digits++;
	}
	if (!digits)
		return false;
	if (*s == 'e' || *s == 'E') {
		s++;
		if (*s == '-' || *s == '+')
			s++;
		if (!isdigit((unsigned char)*s))
			return false;
		while (isdigit((unsigned char)*s))
			s++;
	}
	return *s == '\0';
}

enum doc_plain doc_plain(const struct doc_node *n)
{
	int64_t v;

	if (!n || n->type != DOC_SCALAR)
		return DOC_PLAIN_NONE;
	if (n->quoted)
		return DOC_PLAIN_STR;
	if (parse_bool(n->scalar) >= 0)
		return DOC_PLAIN_BOOL;
	if (parse_int(n->scalar, &v) != -EINVAL)
		return DOC_PLAIN_INT;
	return is_float(n->scalar) ? DOC_PLAIN_FLOAT : DOC_PLAIN_STR;
}

static const char *what_is(const struct doc_node *n)
{
	switch (n->type) {
	case DOC_MAP:
		return "a mapping";
	case DOC_SEQ:
		return "a list";
	case DOC_NULL:
		return "null";
	case DOC_SCALAR:
		break;
	}
	switch (doc_plain(n)) {
	case DOC_PLAIN_BOOL:
		return "a bool";
	case DOC_PLAIN_INT:
	case DOC_PLAIN_FLOAT:
		return "a number";
	default:
		return "a string";
	}
}

static int wrong_type(const struct doc_node *n, const char *want, const char *path, struct err *e)
{
	if (n->type == DOC_SCALAR)
		return doc_err(n, path, e, "%s is wanted here, \"%.*s\" is %s", want, SHOW_LEN, n->scalar, what_is(n));
	return doc_err(n, path, e, "%s is wanted here, this is %s", want, what_is(n));
}

int doc_get_str(const struct doc_node *map, const char *key, const char *path, const char **ret, struct err *e)
{
	const struct doc_node *n = doc_get(map, key);

	if (!n)
		return 0;
	if (doc_plain(n) != DOC_PLAIN_STR)
		return wrong_type(n, "a string", path, e);
	*ret = n->scalar;
	return 1;
}

int doc_get_bool(const struct doc_node *map, const char *key, const char *path, bool *ret, struct err *e)
{
	const struct doc_node *n = doc_get(map, key);

	if (!n)
		return 0;
	if (doc_plain(n) != DOC_PLAIN_BOOL)
		return wrong_type(n, "true or false", path, e);
	*ret = parse_bool(n->scalar) == 1;
	return 1;
}

int doc_get_int(const struct doc_node *map, const char *key, const char *path, int64_t min, int64_t max, int64_t *ret,
		struct err *e)
{
	const struct doc_node *n = doc_get(map, key);
	int64_t v = 0;

	if (!n)
		return 0;
	if (doc_plain(n) != DOC_PLAIN_INT)
		return wrong_type(n, "a whole number", path, e);
	if (parse_int(n->scalar, &v) || v < min || v > max)
		return doc_err(n, path, e, "%.*s is not between %lld and %lld", SHOW_LEN, n->scalar, (long long)min,
			       (long long)max);
	*ret = v;
	return 1;
}

static int get_typed(const struct doc_node *map, const char *key, enum doc_type type, const char *path,
		     const struct doc_node **ret, struct err *e)
{
	const struct doc_node *n = doc_get(map, key);

	if (!n)
		return 0;
	if (n->type != type)
		return wrong_type(n, type == DOC_MAP ? "a mapping" : "a list", path, e);
	*ret = n;
	return 1;
}

int doc_get_map(const struct doc_node *map, const char *key, const char *path, const struct doc_node **ret,
		struct err *e)
{
	return get_typed(map, key, DOC_MAP, path, ret, e);
}

int doc_get_seq(const struct doc_node *map, const char *key, const char *path, const struct doc_node **ret,
		struct err *e)
{
	return get_typed(map, key, DOC_SEQ, path, ret, e);
}
