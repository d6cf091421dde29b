/* SPDX-License-Identifier: GPL-2.0-or-later */
/* offkube probe: what this host can do, target by target and strategy by strategy. Changes nothing. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/utsname.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/util.h"

enum usable { USABLE, DEGRADED, REFUSED };
static const char *const usable_name[] = { [USABLE] = "usable", [DEGRADED] = "degraded", [REFUSED] = "refused" };

static bool target_usable(const char *name, const struct target_probe *probes)
{
	for (size_t i = 0; i < target_count(); i++)
		if (str_eq(target_at(i)->name, name))
			return probes[i].usable;
	return false;
}

/* Without a faster tier the complete one carries all: degraded. Without that nothing does. */
static enum usable strategy_usable(const struct strategy *st, const struct target_probe *probes)
{
	enum usable u = USABLE;

	for (int f = 0; f < FUNC_MAX; f++)
		for (const char *const *t = st->tiers[f]; *t; t++)
			if (!target_usable(*t, probes))
				u = t[1] && u != REFUSED ? DEGRADED : REFUSED;
	return u;
}

static void print_text(const struct target_probe *probes)
{
	struct utsname u = {};

	(void)uname(&u); /* cannot fail with a valid pointer */
	printf("kernel %s %s\n", u.release, u.machine);
	for (size_t i = 0; i < target_count(); i++) {
		const struct target_ops *t = target_at(i);

		printf("target   %-8s %-8s %s\n", t->name, probes[i].usable ? "usable" : refusal_name(probes[i].why),
		       probes[i].usable ? t->text : probes[i].detail);
	}
	for (size_t i = 0; i < strategy_count(); i++)
		printf("strategy %-8s %-8s %s\n", strategy_at(i)->name,
		       usable_name[strategy_usable(strategy_at(i), probes)], strategy_at(i)->text);
}

static int print_json(const struct target_probe *probes)
{
	json_t *targets = json_array(), *strategies = json_array(), *root;
	struct utsname u = {};
	int r;

	(void)uname(&u); /* as above */
	for (size_t i = 0; i < target_count(); i++)
		(void)json_array_append_new(targets, json_pack("{s:s, s:b, s:s?, s:s?}", "target", target_at(i)->name,
							       "usable", probes[i].usable, "refusal",
							       probes[i].usable ? NULL : refusal_name(probes[i].why),
							       "detail", probes[i].usable ? NULL : probes[i].detail));
	for (size_t i = 0; i < strategy_count(); i++)
		(void)json_array_append_new(strategies,
					    json_pack("{s:s, s:b, s:b}", "strategy", strategy_at(i)->name, "usable",
						      strategy_usable(strategy_at(i), probes) != REFUSED, "degraded",
						      strategy_usable(strategy_at(i), probes) == DEGRADED));
	root = json_pack("{s:s, s:o, s:o}", "kernel", u.release, "targets", targets, "strategies", strategies);
	r = !root ? -ENOMEM : json_dumpf(root, stdout, JSON_INDENT(2)) < 0 ? -EIO : 0;
	json_decref(root);
	if (r < 0)
		return app_fail(NULL, r);
	putchar('\n');
	return APP_OK;
}

int cmd_probe(int argc, char **argv)
{
	const char *kube_proxy = NULL;
	bool json = false, done;
	const struct opt opts[] = {
		{ "json", OPT_FLAG, NULL, "machine-readable", &json, 0, 0 },
		APP_KUBE_PROXY_OPT(&kube_proxy),
	};
	const struct opt_command cmd = {
		.name = "probe",
		.summary = "What this host can do: each target, and each strategy. Changes nothing.",
		.usage = "offkube probe [--json] [--kube-proxy PATH]",
		.examples = "  offkube probe\n",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
	};
	CLEANUP_FREE struct target_probe *probes = calloc(target_count(), sizeof(*probes));
	int r = app_parse(&cmd, argc, argv, NULL, NULL, &done);

	if (done)
		return r;
	if (!probes)
		return app_fail(NULL, -ENOMEM);
	for (size_t i = 0; i < target_count(); i++) {
		struct err e = {};

		r = app_probe_here(NULL, target_at(i), &probes[i], &e);
		if (r < 0)
			return app_fail(&e, r);
	}
	if (json)
		return print_json(probes);
	print_text(probes);
	return APP_OK;
}
