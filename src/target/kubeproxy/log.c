/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads kube-proxy's log (klog, -v=2). Two messages matter, with ipFamily="IPv4" or "IPv6":
 *	proxier.go:1094] "Syncing nftables rules"
 *	proxier.go:1088] "SyncProxyRules complete"
 * They say whether a synchronisation is under way. Should another version word them otherwise, force.c still has the kernel's tables.
 */
#include "log.h"

#include <stdio.h>
#include <string.h>

#include "base/util.h"

static bool count(const char *line, const char *message, uint32_t counters[IP_FAMILY_MAX])
{
	if (!strstr(line, message))
		return false;
	if (strstr(line, "ipFamily=\"IPv4\""))
		counters[IP_V4]++;
	else if (strstr(line, "ipFamily=\"IPv6\""))
		counters[IP_V6]++;
	else
		return false;
	return true;
}

static bool end_line(struct kp_log *l, struct kp_status *st)
{
	bool changed;

	l->line[l->len] = '\0';
	l->len = 0;
	if (!l->line[0])
		return false;
	(void)snprintf(l->last, sizeof(l->last), "%s", l->line); /* cut, if need be */
	if (strncmp(l->line, "E1", 2) == 0 || strncmp(l->line, "E0", 2) == 0 || strncmp(l->line, "F", 1) == 0 ||
	    strncasecmp(l->line, "error", 5) == 0 || strncmp(l->line, "panic", 5) == 0)
		(void)snprintf(l->error, sizeof(l->error), "%s", l->line);
	changed = count(l->line, "\"Syncing nftables rules\"", st->n_begun);
	changed |= count(l->line, "\"SyncProxyRules complete\"", st->n_done);
	st->n_failed += strstr(l->line, "\"Sync failed\"") != NULL;
	return changed;
}

bool kp_log_feed(struct kp_log *l, const char *bytes, size_t size, struct kp_status *st)
{
	bool changed = false;

	for (size_t i = 0; i < size; i++) {
		if (bytes[i] == '\n')
			changed |= end_line(l, st);
		else if (l->len + 1 < sizeof(l->line))
			l->line[l->len++] = (unsigned char)bytes[i] < 0x20 ? ' ' : bytes[i];
	}
	return changed;
}

void kp_log_words(const struct kp_log *l, char ret[static KP_WORDS_SIZE])
{
	(void)snprintf(ret, KP_WORDS_SIZE, "%s", l->error[0] ? l->error : l->last);
}
