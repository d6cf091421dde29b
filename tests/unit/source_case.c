/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One load of a manifest: what the tests of source/ share. */
#include "source_case.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/util.h"

void case_free(struct source_case *c)
{
	snapshot_unref(c->s);
	c->s = NULL;
}

void case_load_(struct source_case *c, const char *const *pieces)
{
	CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;
	char *exact; /* no zero byte behind it: a read too far is seen */

	for (; *pieces; pieces++)
		strbuf_add(&sb, *pieces);
	assert_false(sb.failed);
	exact = malloc(sb.len ? sb.len : 1);
	assert_non_null(exact);
	if (sb.len)
		memcpy(exact, sb.buf, sb.len);
	case_free(c);
	memset(&c->e, 0, sizeof(c->e));
	memset(&c->report, 0, sizeof(c->report));
	c->r = source_file_parse(&c->conf, "in.yaml", exact, sb.len, &c->s, &c->report, &c->e);
	free(exact);
	if (c->r == 0)
		return;
	assert_null(c->s);
	assert_int_equal(c->report.n_kinds, 0);
	assert_int_equal(c->e.code, c->r);
	assert_true(*c->e.text);
}

void case_good_(struct source_case *c, const char *const *pieces)
{
	case_load_(c, pieces);
	if (c->r)
		fail_msg("%s: %s", c->e.path, c->e.text);
}

void case_bad_(struct source_case *c, const char *path, const char *sentence, const char *const *pieces)
{
	case_load_(c, pieces);
	assert_int_equal(c->r, -EINVAL);
	assert_string_equal(c->e.path, path);
	assert_string_equal(c->e.text, sentence);
}

const struct service *case_service(const struct source_case *c, const char *name)
{
	const struct service *s = snapshot_service(c->s, "default", name);

	assert_non_null(s);
	return s;
}

const struct pod *case_pod(const struct source_case *c, const char *name)
{
	const struct pod *p = snapshot_pod(c->s, "default", name);

	assert_non_null(p);
	return p;
}

const char *case_ip(const struct ip_addr *a)
{
	static char buf[4][IP_ADDR_STR_MAX];
	static size_t next;

	return ip_addr_format(a, buf[next++ % ARRAY_LEN(buf)]);
}

static void add(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void add(char *buf, size_t size, const char *fmt, ...)
{
	size_t len = strlen(buf);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(buf + len, size - len, fmt, ap);
	va_end(ap);
}

const char *case_endpoints(const struct source_case *c, const char *service, uint8_t proto, uint16_t port,
			   enum ip_family fam)
{
	static char buf[4096];
	const struct service_port *p = service_find_port(case_service(c, service), proto, port);

	assert_non_null(p);
	buf[0] = '\0';
	for (size_t i = 0; i < p->n_endpoints[fam]; i++) {
		const struct endpoint *ep = &p->endpoints[fam][i];

		add(buf, sizeof(buf), "%s%s:%u@%s %s%s%s", i ? ", " : "", case_ip(&ep->addr), ep->port,
		    ep->node ? ep->node : "-", ep->ready ? "r" : "", ep->serving ? "s" : "",
		    ep->terminating ? "t" : "");
	}
	return buf;
}

const char *case_pods(const struct source_case *c)
{
	static char buf[4096];
	const struct pod **pods = NULL;
	size_t n = 0;

	buf[0] = '\0';
	assert_int_equal(snapshot_sorted_pods(c->s, &pods, &n), 0);
	for (size_t i = 0; i < n; i++)
		add(buf, sizeof(buf), "%s%s@%s", i ? " " : "", pods[i]->name, pods[i]->node ? pods[i]->node : "-");
	free(pods);
	return buf;
}

void case_warns(const struct source_case *c, const char *text)
{
	for (size_t i = 0; i < MIN(c->report.n_warnings, ARRAY_LEN(c->report.warning)); i++)
		if (strstr(c->report.warning[i], text))
			return;
	for (size_t i = 0; i < MIN(c->report.n_warnings, ARRAY_LEN(c->report.warning)); i++)
		print_error("warning: %s\n", c->report.warning[i]);
	fail_msg("no warning says: %s", text);
}
