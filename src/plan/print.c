/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Plans as text and JSON. Called by app/ (offkube plan) and by bug reports. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "plan/plan.h"

static int compare_notes(const void *a, const void *b)
{
	const struct refusal_note *na = *(const struct refusal_note *const *)a;
	const struct refusal_note *nb = *(const struct refusal_note *const *)b;
	int r = strcmp(na->object, nb->object);

	if (r == 0)
		r = strcmp(na->field, nb->field);
	if (r == 0)
		r = (int)na->why - (int)nb->why;
	return r ? r : strcmp(na->detail, nb->detail);
}

/* The notes in an order that depends on them alone, not on the history of the plan. Owned; NULL without memory. */
static const struct refusal_note **sorted_notes(const struct refusal_list *l)
{
	const struct refusal_note **v = calloc(l->n + 1, sizeof(*v));

	for (size_t i = 0; v && i < l->n; i++)
		v[i] = &l->v[i];
	if (v)
		qsort(v, l->n, sizeof(*v), compare_notes);
	return v;
}

static int print_part(const struct plan_part *part, FILE *f)
{
	CLEANUP_FREE const struct refusal_note **notes = sorted_notes(&part->refusals);

	if (!notes)
		return -ENOMEM;
	fprintf(f, "  target %-8s %s\n", part->ops->name, part->probe.usable ? "usable" : "refused");
	if (!part->probe.usable)
		fprintf(f, "    refusal     %s: %s\n", refusal_name(part->probe.why),
			part->probe.detail[0] ? part->probe.detail : refusal_text(part->probe.why));
	for (int i = 0; i < FUNC_MAX; i++)
		if (part->functions & (1u << i))
			fprintf(f, "    carries     %-12s %s\n", function_name(i), function_text(i));
	if (part->functions & (1u << FUNC_SERVICE_LB))
		fprintf(f, "    Services    %llu\n", (unsigned long long)part->n_services);
	for (size_t i = 0; i < part->refusals.n; i++) {
		const struct refusal_note *note = notes[i];

		fprintf(f, "    refused     %s%s%s: %s (%s)\n", note->object, note->field[0] ? " " : "", note->field,
			refusal_name(note->why), note->detail[0] ? note->detail : refusal_text(note->why));
	}
	return 0;
}

static int print_text(const struct plan *p, FILE *f)
{
	int r = 0;

	fprintf(f, "strategy %s on node %s: %s\n", p->strategy->name, p->node, p->strategy->text);
	if (!p->usable)
		fprintf(f, "  cannot run here: %s: %s\n", refusal_name(p->why), p->detail);
	for (size_t i = 0; i < p->n_parts && r == 0; i++)
		r = print_part(&p->parts[i], f);
	if (r < 0)
		return r;
	for (int i = 0; i < FUNC_MAX; i++)
		if (!p->strategy->tiers[i][0])
			fprintf(f, "  not carried %-12s %s\n", function_name(i), function_text(i));
	if (p->n_unserved)
		fprintf(f, "  no tier carries the ClusterIP of %llu Services\n", (unsigned long long)p->n_unserved);
	return ferror(f) ? -EIO : 0;
}

static json_t *part_json(const struct plan_part *part)
{
	CLEANUP_FREE const struct refusal_note **notes = sorted_notes(&part->refusals);
	json_t *functions = json_array(), *refusals = json_array();

	for (int i = 0; i < FUNC_MAX; i++)
		if (part->functions & (1u << i))
			(void)json_array_append_new(functions, json_string(function_name(i)));
	for (size_t i = 0; notes && i < part->refusals.n; i++) {
		const struct refusal_note *note = notes[i];

		(void)json_array_append_new(refusals, json_pack("{s:s, s:s, s:s, s:s}", "refusal",
								refusal_name(note->why), "object", note->object,
								"field", note->field, "detail", note->detail));
	}
	if (!notes || json_array_size(refusals) != part->refusals.n) {
		json_decref(functions);
		json_decref(refusals);
		return NULL;
	}
	return json_pack("{s:s, s:b, s:s?, s:s?, s:o, s:I, s:o}", "target", part->ops->name, "usable",
			 part->probe.usable, "refusal", part->probe.usable ? NULL : refusal_name(part->probe.why),
			 "detail", part->probe.usable ? NULL : part->probe.detail, "functions", functions, "services",
			 (json_int_t)part->n_services, "refusals", refusals);
}

static int print_json(const struct plan *p, FILE *f)
{
	json_t *parts = json_array();
	json_t *root;
	int r;

	for (size_t i = 0; i < p->n_parts; i++)
		(void)json_array_append_new(parts, part_json(&p->parts[i]));
	root = json_pack("{s:s, s:s, s:b, s:s?, s:s?, s:I, s:o}", "strategy", p->strategy->name, "node", p->node,
			 "usable", p->usable, "refusal", p->usable ? NULL : refusal_name(p->why), "detail",
			 p->usable ? NULL : p->detail, "unserved", (json_int_t)p->n_unserved, "targets", parts);
	if (!root || json_array_size(parts) != p->n_parts) {
		json_decref(root);
		return -ENOMEM;
	}
	r = json_dumpf(root, f, JSON_COMPACT) < 0 ? -EIO : 0;
	fputc('\n', f);
	json_decref(root);
	return ferror(f) ? -EIO : r;
}

int plan_print(const struct plan *p, bool json, FILE *f)
{
	return json ? print_json(p, f) : print_text(p, f);
}
