/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * source/file/cluster_ip.c: given addresses are kept, others are given out, always the same and
 * never twice.
 */
#include "source_case.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

#define PORT "ports: [{port: 80}]"

static void test_stable(void **state)
{
	struct source_case one = {}, two = {};

	(void)state;
	case_good(&one, M_SERVICE("cart", PORT), M_SERVICE("catalog", PORT));
	case_good(&two, M_SERVICE("new", PORT), M_SERVICE("catalog", PORT), M_SERVICE("cart", PORT));
	assert_true(ip_addr_eq(&case_service(&one, "cart")->cluster_ip[IP_V4],
			       &case_service(&two, "cart")->cluster_ip[IP_V4]));
	assert_true(ip_addr_eq(&case_service(&one, "catalog")->cluster_ip[IP_V4],
			       &case_service(&two, "catalog")->cluster_ip[IP_V4]));
	/* A pin: addresses must not move between versions of this program either. */
	assert_string_equal(case_ip(&case_service(&one, "cart")->cluster_ip[IP_V4]), "10.96.215.155");
	case_free(&one);
	case_free(&two);
}

/* An address that one Service asks for is not given to another, whatever comes first. */
static void test_given_first(void **state)
{
	struct source_case c = {};
	char text[512];
	const char *free_one;

	(void)state;
	case_good(&c, M_SERVICE("cart", PORT));
	free_one = case_ip(&case_service(&c, "cart")->cluster_ip[IP_V4]);
	(void)snprintf(text, sizeof(text), M_SERVICE("cart", PORT) M_SERVICE("b", "clusterIP: %s, " PORT), free_one);
	case_good(&c, text);
	assert_string_equal(case_ip(&case_service(&c, "b")->cluster_ip[IP_V4]), free_one);
	assert_string_not_equal(case_ip(&case_service(&c, "cart")->cluster_ip[IP_V4]), free_one);
	/* That of a Service which is another proxy's is taken too. */
	(void)snprintf(text, sizeof(text),
		       M_SERVICE("cart",
				 PORT) "---\napiVersion: v1\nkind: Service\nmetadata: {name: b, labels: "
				       "{service.kubernetes.io/service-proxy-name: x}}\nspec: {clusterIP: %s, " PORT
				       "}\n",
		       free_one);
	case_good(&c, text);
	assert_string_not_equal(case_ip(&case_service(&c, "cart")->cluster_ip[IP_V4]), free_one);
	case_free(&c);
}

/* The dump of a cluster with another service CIDR. */
static void test_outside_of_cidr(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c, M_SERVICE("a", "clusterIP: 172.20.0.10, " PORT));
	assert_string_equal(case_ip(&case_service(&c, "a")->cluster_ip[IP_V4]), "172.20.0.10");
	case_bad(&c, "in.yaml:2: Service default/a: spec.clusterIPs",
		 "172.30.0.11 is an address of Node node-1 already, which is made up",
		 M_SERVICE("a", "clusterIP: 172.30.0.11, " PORT));
	case_free(&c);
}

/*
 * A range is used up to its end: all addresses differ, none is network, gateway or broadcast; then
 * it is full.
 */
static void test_full(void **state)
{
	struct source_case c = {};

	(void)state;
	c.conf.service_cidr[IP_V4] = "10.96.0.0/26";
	for (size_t n = 61; n <= 63; n++) {
		CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT;

		for (size_t i = 0; i < n; i++)
			strbuf_addf(&sb,
				    "---\napiVersion: v1\nkind: Service\nmetadata: {name: s%zu}\nspec: {" PORT "}\n",
				    i);
		case_load(&c, sb.buf);
		if (n == 63) {
			assert_int_equal(c.r, -ENOSPC);
			assert_string_equal(c.e.text, "the service CIDR has no free IPv4 address");
			break;
		}
		assert_int_equal(c.r, 0);
		assert_int_equal(snapshot_n_services(c.s), n);
		for (size_t i = 0; i < n; i++) {
			char name[16];

			(void)snprintf(name, sizeof(name), "s%zu", i);
			assert_in_range(case_service(&c, name)->cluster_ip[IP_V4].bytes[3], 1, 62);
			assert_ptr_equal(snapshot_service_by_ip(c.s, &case_service(&c, name)->cluster_ip[IP_V4]),
					 case_service(&c, name));
		}
	}
	case_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stable),
		cmocka_unit_test(test_given_first),
		cmocka_unit_test(test_outside_of_cidr),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
