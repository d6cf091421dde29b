/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kube-proxy's log as the server process reads it: lines in pieces as they come from a pipe. Pure; fuzzed. */
#ifndef OFFKUBE_TARGET_KUBEPROXY_LOG_H
#define OFFKUBE_TARGET_KUBEPROXY_LOG_H

#include "process.h"

#define KP_LOG_LINE_MAX 1024

struct kp_log {
	char line[KP_LOG_LINE_MAX]; /* the line at hand; what is longer is cut */
	size_t len;
	char last[KP_WORDS_SIZE], error[KP_WORDS_SIZE]; /* the last line, the last that is an error */
};

/* True when the counters in *st changed. */
bool kp_log_feed(struct kp_log *l, const char *bytes, size_t size, struct kp_status *st);
/* What to tell of a kube-proxy that has ended. */
void kp_log_words(const struct kp_log *l, char ret[static KP_WORDS_SIZE]);

#endif
