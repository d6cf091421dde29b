/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads what iperf3, wrk, h2load and redis-benchmark print. Called by load_tool.c. */
#include "tool_parse.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"

#define NUM_MAX 1e18

static void json_free(json_t **j)
{
	json_decref(*j);
}

/* A number of JSON that can be reckoned with; -1 when it is none. */
static double number(const json_t *j)
{
	double v = json_is_number(j) ? json_number_value(j) : -1;

	return v >= 0 && v <= NUM_MAX ? v : -1;
}

/* Tidy for a message: one line of plain characters. */
static int says(struct err *e, const char *who, const char *text)
{
	char line[200];

	(void)snprintf(line, sizeof(line), "%s", text);
	line[strcspn(line, "\r\n")] = '\0';
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
			*c = '?';
	return err_set(e, -EREMOTEIO, who, "%s", line[0] ? line : "it failed without a word");
}

/* ---- iperf3 ---- */

static void take_server(const json_t *root, struct tool_result *ret)
{
	const json_t *start = json_object_get(json_object_get(root, "server_output_json"), "start");
	const json_t *first = json_array_get(json_object_get(start, "connected"), 0);
	const char *text = json_string_value(json_object_get(first, "local_host"));

	if (text && ip_addr_parse(text, &ret->server) < 0)
		ret->server = (struct ip_addr){};
}

int tool_parse_iperf3(const char *text, size_t size, struct tool_result *ret, struct err *e)
{
	/* A warning may stand before ("UDP block size 2800 exceeds TCP MSS"). */
	const char *begin = memchr(text, '{', size);
	size_t n_before = begin ? (size_t)(begin - text) : size;
	CLEANUP(json_free) json_t *root = json_loadb(text + n_before, size - n_before, 0, NULL);
	const json_t *end = json_object_get(root, "end"), *sent = json_object_get(end, "sum_sent"),
		     *received = json_object_get(end, "sum_received"),
		     *retransmits = json_object_get(sent, "retransmits");
	const char *error = json_string_value(json_object_get(root, "error"));
	struct tool_result res = {
		.seconds = number(json_object_get(received, "seconds")),
		.bytes = number(json_object_get(received, "bytes")),
		.sent_bytes = number(json_object_get(sent, "bytes")),
		.n_retransmits = retransmits ? number(retransmits) : -1,
	};

	if (error)
		return says(e, "iperf3", error);
	if (res.seconds <= 0 || res.bytes < 0 || res.sent_bytes < 0)
		return err_set(e, -EBADMSG, "iperf3", "its output has no sums");
	take_server(root, &res);
	*ret = res;
	return 0;
}

/* ---- text ---- */

/* What stands behind `key` in the text; NULL when it is not there. */
static const char *after(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? at + strlen(key) : NULL;
}

/* A number in plain text, and where it ends; false when there is none that can be reckoned with. */
static bool read_num(const char **at, double *ret)
{
	char *end;
	double v = strtod(*at, &end);

	if (end == *at || !isfinite(v) || v < 0 || v > NUM_MAX)
		return false;
	*at = end;
	*ret = v;
	return true;
}

/* ---- wrk ---- */

int tool_parse_wrk(const char *text, struct tool_result *ret, struct err *e)
{
	const char *at = strncmp(text, "offkube ", 8) == 0 ? text + 8 : after(text, "\noffkube ");
	struct tool_result res = { .n_retransmits = -1 };

	if (strstr(text, "unable to connect"))
		return says(e, "wrk", strstr(text, "unable to connect"));
	if (!at || !read_num(&at, &res.seconds) || !read_num(&at, &res.n_done) || !read_num(&at, &res.n_failed) ||
	    res.seconds <= 0)
		return err_set(e, -EBADMSG, "wrk", "its output has no line of ours");
	res.seconds /= 1e6;
	*ret = res;
	return 0;
}

/* ---- h2load ---- */

/* "400.17ms", "1.02s", "90us", "2m" */
static bool read_duration(const char *at, double *ret)
{
	static const struct {
		const char *unit;
		double seconds;
	} units[] = { { "us", 1e-6 }, { "ms", 1e-3 }, { "s", 1 }, { "m", 60 }, { "h", 3600 } };

	if (!read_num(&at, ret))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (strncmp(at, units[i].unit, strlen(units[i].unit)) == 0) {
			*ret *= units[i].seconds;
			return *ret > 0;
		}
	return false;
}

/* "... 342.67MB (143726076) total, ... (1804072) headers (...), 160.14MB (167915520) data": the number in brackets before `what`. */
static bool read_bracket(const char *text, const char *what, double *ret)
{
	const char *end = strstr(text, what), *at = end;

	while (at && at > text && *at != '(' && *at != '\n')
		at--;
	if (!at || *at != '(')
		return false;
	at++;
	return read_num(&at, ret) && *at == ')';
}

/* "136492 total, ..., 136492 succeeded, ...": the number before `what`. */
static bool read_count(const char *line, const char *what, double *ret)
{
	const char *at = strstr(line, what), *eol = strchrnul(line, '\n');

	if (!at || at > eol)
		return false;
	while (at > line && at[-1] >= '0' && at[-1] <= '9')
		at--;
	return read_num(&at, ret);
}

int tool_parse_h2load(const char *text, struct tool_result *ret, struct err *e)
{
	const char *finished = after(text, "\nfinished in "), *requests = after(text, "\nrequests: "),
		   *traffic = after(text, "\ntraffic: ");
	struct tool_result res = { .n_retransmits = -1 };
	double total, failed, errored, timeout;

	if (!finished || !requests || !traffic || !read_duration(finished, &res.seconds) ||
	    !read_count(requests, " total", &total) || !read_count(requests, " succeeded", &res.n_done) ||
	    !read_count(requests, " failed", &failed) || !read_count(requests, " errored", &errored) ||
	    !read_count(requests, " timeout", &timeout) || !read_bracket(traffic, " data", &res.bytes))
		return err_set(e, -EBADMSG, "h2load", "its output has no summary");
	res.n_failed = MAX(failed, errored) + timeout;
	if (total > 0 && res.n_done == 0)
		return err_set(e, -EREMOTEIO, "h2load", "none of %.0f requests succeeded", total);
	*ret = res;
	return 0;
}

/* Lines "1795855018906807<TAB>200<TAB>62": when, status (-1 = failed), microseconds until the end. */
int tool_parse_h2load_log(const char *text, struct hist *latency, uint64_t *ret_n, struct err *e)
{
	uint64_t n = 0;

	for (const char *line = text; *line; n++) {
		unsigned long long when, us;
		int status, end = -1;

		if (sscanf(line, "%18llu\t%d\t%12llu%n", &when, &status, &us, &end) != 3 || line[end] != '\n')
			return err_set(e, -EBADMSG, "h2load", "line %llu of its log", (unsigned long long)n + 1);
		if (status == 200)
			hist_add(latency, us * 1000);
		line += end + 1;
	}
	*ret_n = n;
	return 0;
}

/* ---- redis-benchmark ---- */

int tool_parse_redis_benchmark(const char *text, double n_requests, struct tool_result *ret, struct err *e)
{
	const char *head = strstr(text, "\"test\",\"rps\""), *line = head ? strchr(head, '\n') : NULL,
		   *at = line ? strstr(line, "\",\"") : NULL;
	double rps;

	if (strstr(text, "Could not connect"))
		return says(e, "redis-benchmark", strstr(text, "Could not connect"));
	if (strstr(text, "Error from server"))
		return says(e, "redis-benchmark", strstr(text, "Error from server"));
	if (!at)
		return err_set(e, -EBADMSG, "redis-benchmark", "its output has no line of numbers");
	at += 3;
	if (!read_num(&at, &rps) || *at != '"' || rps <= 0)
		return err_set(e, -EBADMSG, "redis-benchmark", "its output tells no rate");
	*ret = (struct tool_result){ .seconds = n_requests / rps, .n_done = n_requests, .n_retransmits = -1 };
	return 0;
}
