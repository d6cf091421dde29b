/* SPDX-License-Identifier: GPL-2.0-or-later */
/* offkube cleanup: takes away everything that OffKube installed on this host, also what killed runs left, and nothing else. */
#include <errno.h>
#include <stdlib.h>

#include "app.h"
#include "apply/apply.h"
#include "base/cleanup.h"
#include "base/util.h"
#include "lab/lab.h"
#include "measure/cpu.h"

DEFINE_CLEANUP(struct applier *, applier_free);

/* "Nothing was found" would be a lie where nothing may be looked at. */
static int check_privilege(struct err *e)
{
	for (size_t i = 0; i < target_count(); i++) {
		struct target_probe probe = {};
		int r = app_probe_here(NULL, target_at(i), &probe, e);

		if (r < 0)
			return r;
		if (!probe.usable && probe.why == REFUSAL_NO_PRIVILEGE)
			return err_set(e, -EPERM, NULL, "%s: %s", refusal_name(probe.why), probe.detail);
	}
	return 0;
}

static int clean_host(struct err *e)
{
	CLEANUP(applier_freep) struct applier *a = NULL;
	const struct target_env env = {
		.node = "localhost", .netns_fd = -1, .cgroup_fd = -1, .clock = &clock_monotonic
	};
	int r = applier_new(&env, &a, e);

	return r < 0 ? r : applier_cleanup(a, e);
}

int cmd_cleanup(int argc, char **argv)
{
	bool labs = false, done;
	const struct opt opts[] = {
		{ "labs", OPT_FLAG, NULL, "kept labs (\"lab up\") too, not only what dead processes left", &labs, 0,
		  0 },
	};
	const struct opt_command cmd = {
		.name = "cleanup",
		.summary = "Removes all that OffKube installed in this network namespace, and what dead labs left.",
		.usage = "offkube cleanup [--labs]",
		.examples = "  offkube cleanup --labs\n",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
	};
	struct err e = {}, el = {};
	size_t n_labs = 0;
	int r = app_parse(&cmd, argc, argv, NULL, NULL, &done), rl;
	int code = APP_OK;

	if (done)
		return r;
	r = check_privilege(&e);
	if (r < 0)
		return app_fail(&e, r);
	r = clean_host(&e);
	rl = app_clean_labs(labs, &n_labs, &el);
	cpu_meter_clean();
	/* Both failures are told; the exit code is of the last. */
	if (r < 0)
		code = app_fail(&e, r);
	if (rl < 0)
		code = app_fail(&el, rl);
	if (code)
		return code;
	printf("cleaned: this host, %zu lab%s\n", n_labs, n_labs == 1 ? "" : "s");
	return APP_OK;
}
