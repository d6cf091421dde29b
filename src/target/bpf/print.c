/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The text of a program: a line per entry, or one JSON object. Called through target_ops by `offkube compile` and by the golden tests. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/util.h"
#include "program.h"

static char *text_of(void (*format)(struct strbuf *sb, const void *what), const void *what)
{
	struct strbuf sb = STRBUF_INIT;

	format(&sb, what);
	return strbuf_take(&sb);
}

/* Calls fn for each operation, in the order of the tables. */
struct printer {
	FILE *f;
	json_t *list; /* NULL: as text */
};

static int print_op(const struct printer *pr, enum table_id t, const char *op, const uint8_t *key, const uint8_t *value)
{
	CLEANUP_FREE char *k = text_of(table_spec[t].format_key, key);
	CLEANUP_FREE char *v = text_of(table_spec[t].format_value, value);
	json_t *obj;

	if (!k || !v)
		return -ENOMEM;
	if (!pr->list)
		return fprintf(pr->f, "%s %s { %s%s%s }\n", op, table_spec[t].name, k, v[0] ? " : " : "", v) < 0 ?
			       -EIO :
			       0;
	obj = json_pack("{s:s, s:s, s:s}", "op", op, "map", table_spec[t].name, "key", k);
	if (v[0])
		(void)json_object_set_new(obj, "value", json_string(v));
	return json_array_append_new(pr->list, obj) < 0 ? -ENOMEM : 0;
}

static int print_table(const struct printer *pr, const struct target_program *p, enum table_id t)
{
	CLEANUP(table_ops_free) struct table_ops ops = {};
	int r = table_ops_build(t, &p->del[t], &p->add[t], &ops);

	for (size_t i = 0; i < ops.n_put && r == 0; i++)
		r = print_op(pr, t, "put", entry_key(t, &p->add[t], ops.put[i]),
			     entry_value(t, &p->add[t], ops.put[i]));
	for (size_t i = 0; i < ops.n_drop && r == 0; i++)
		r = print_op(pr, t, "delete", entry_key(t, &p->del[t], ops.drop[i]),
			     entry_value(t, &p->del[t], ops.drop[i]));
	return r;
}

static int print_all(const struct printer *pr, const struct target_program *p)
{
	int r = 0;

	for (int t = 0; t < TABLE_MAX && r == 0; t++)
		r = print_table(pr, p, t);
	return r;
}

static int print_json(const struct target_program *p, FILE *f)
{
	struct printer pr = { f, json_array() };
	json_t *root;
	int r = pr.list ? print_all(&pr, p) : -ENOMEM;

	root = json_pack("{s:s, s:b, s:s, s:b, s:I, s:o}", "target", "bpf-sock", "full", bpf_sock_program_is_full(p),
			 "node", p->node, "host_sockets_only", p->host_only, "services", (json_int_t)p->n_services,
			 "operations", pr.list);
	if (!root)
		return -ENOMEM;
	if (r == 0 && (json_dumpf(root, f, JSON_COMPACT) < 0 || fputc('\n', f) < 0))
		r = -EIO;
	json_decref(root);
	return r;
}

int bpf_sock_program_print(const struct target_program *p, bool json, FILE *f)
{
	const struct printer pr = { f, NULL };

	if (json)
		return print_json(p, f);
	if (fprintf(f, "# %s for the sockets of node %s%s: %zu Services\n",
		    bpf_sock_program_is_full(p) ? "full program" : "difference", p->node,
		    p->host_only ? " itself" : " and its pods", p->n_services) < 0)
		return -EIO;
	return print_all(&pr, p);
}
