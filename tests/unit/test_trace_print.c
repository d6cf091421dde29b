/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Results as text: the JSON schema to the letter, and the words for people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "trace/trace.h"

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	assert_int_equal(ip_addr_parse(text, &a), 0);
	return a;
}

static void expect_json(const struct trace_result *r, const char *want)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	assert_int_equal(trace_result_print_json("nft", r, f), 0);
	assert_int_equal(fclose(f), 0);
	assert_string_equal(text, want);
	free(text);
}

static struct trace_result translated(void)
{
	return (struct trace_result){
		.verdict = VERDICT_TRANSLATE,
		.reason = REASON_CHOSEN,
		.has_backend = true,
		.backend = { addr("10.1.0.7"), 8080 },
		.has_out = true,
		.snat = true,
		.out = { .src = addr("172.18.0.1"),
			 .dst = addr("10.1.0.7"),
			 .sport = 1024,
			 .dport = 8080,
			 .proto = IPPROTO_TCP },
	};
}

static void test_json(void **state)
{
	struct trace_result r = translated();

	(void)state;
	expect_json(
		&r,
		"{\"target\":\"nft\",\"verdict\":\"translate\",\"reason\":\"chosen\",\"backend\":{\"ip\":\"10.1.0.7\",\"port\":8080},"
		"\"out\":{\"src\":\"172.18.0.1\",\"sport\":1024,\"dst\":\"10.1.0.7\",\"dport\":8080,\"proto\":\"tcp\"},\"snat\":true}\n");
	r = (struct trace_result){
		.verdict = VERDICT_REJECT, .reason = REASON_NO_ENDPOINTS, .reject_icmp_type = 3, .reject_icmp_code = 3
	};
	expect_json(
		&r,
		"{\"target\":\"nft\",\"verdict\":\"reject\",\"reason\":\"no-endpoints\",\"backend\":null,\"out\":null,\"snat\":false}\n");
	r = (struct trace_result){ .verdict = VERDICT_PASS,
				   .reason = REASON_NOT_SERVICE,
				   .has_out = true,
				   .out = { .src = addr("fd00::1"), .dst = addr("fd00::2"), .proto = IPPROTO_ICMPV6 } };
	expect_json(
		&r,
		"{\"target\":\"nft\",\"verdict\":\"pass\",\"reason\":\"not-service\",\"backend\":null,\"out\":{\"src\":\"fd00::1\","
		"\"sport\":0,\"dst\":\"fd00::2\",\"dport\":0,\"proto\":\"icmpv6\"},\"snat\":false}\n");
}

static void expect_words(const struct trace_result *r, const char *const *words)
{
	const struct l4_tuple t = {
		.src = addr("10.1.0.2"), .dst = addr("10.96.0.1"), .sport = 1024, .dport = 80, .proto = IPPROTO_TCP
	};
	struct trace_packet p;
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	assert_int_equal(trace_packet_first(TRACE_FROM_POD, &t, &p), 0);
	assert_int_equal(trace_result_print("nft", &p, r, f), 0);
	assert_int_equal(fclose(f), 0);
	for (; *words; words++)
		if (!strstr(text, *words))
			fail_msg("no \"%s\" in:\n%s", *words, text);
	free(text);
}

static void test_words(void **state)
{
	static const char *const of_translated[] = {
		"from pod",
		"translate: ",
		"(chosen, inferred)",
		"allowed    2: 10.1.0.7:8080 10.1.0.8:8080",
		"backend    10.1.0.7:8080",
		"destination 10.96.0.1:80 -> 10.1.0.7:8080",
		"10.1.0.2:1024 -> 172.18.0.1:1024",
		"node's address",
		"left by    uplink",
		NULL,
	};
	static const char *const of_rejected[] = { "reject: ", "ICMP type 3 code 3", NULL };
	static const char *const of_refused[] = { "not carried: ", "(sctp)", "pass: ", NULL };
	struct trace_backend allowed[] = { { addr("10.1.0.7"), 8080 }, { addr("10.1.0.8"), 8080 } };
	struct trace_result r = translated();

	(void)state;
	r.inferred = true;
	r.allowed = allowed;
	r.n_allowed = ARRAY_LEN(allowed);
	strcpy(r.left_by, "uplink");
	expect_words(&r, of_translated);
	r = (struct trace_result){
		.verdict = VERDICT_REJECT, .reason = REASON_UNKNOWN_PORT, .reject_icmp_type = 3, .reject_icmp_code = 3
	};
	expect_words(&r, of_rejected);
	r = (struct trace_result){
		.verdict = VERDICT_PASS, .reason = REASON_NOT_SERVICE, .refused = true, .why = REFUSAL_SCTP
	};
	expect_words(&r, of_refused);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
