/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What target kube-proxy reads from others: requests to its server (lines: method, path, Accept, and the parameters), kube-proxy's log, its
 * metrics. The first byte says which.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "target/kubeproxy/log.h"
#include "target/kubeproxy/metrics.h"
#include "target/kubeproxy/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_request(char *text)
{
	const char *v[9] = { "", "" };
	struct request_in in;
	struct request req = { .what = REQUEST_LIST };
	const char *why = NULL;
	int status;

	for (size_t i = 0; text && i < 9; i++)
		v[i] = strsep(&text, "\n");
	in = (struct request_in){ v[0], v[1] ? v[1] : "", v[2], v[3], v[4], v[5], v[6], v[7], v[8] };
	status = request_parse(&in, &req, &why);
	if (status == 0 ? req.what != REQUEST_EVENT && req.kind >= API_KIND_MAX : status < 400 || status > 499 || !why)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kp_log log = {};
	struct kp_status st = {};
	struct kp_metrics m;
	char *text, words[KP_WORDS_SIZE];
	size_t half;

	if (size < 1 || size > 100000)
		return 0;
	text = malloc(size);
	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	switch (data[0]) {
	case 'r':
		try_request(text);
		break;
	case 'l':
		half = (size - 1) / 2; /* lines come in pieces */
		(void)kp_log_feed(&log, text, half, &st);
		(void)kp_log_feed(&log, text + half, size - 1 - half, &st);
		kp_log_words(&log, words);
		if (memchr(words, '\0', sizeof(words)) == NULL)
			abort();
		break;
	default:
		kp_metrics_parse(text, size - 1, &m);
	}
	free(text);
	return 0;
}
