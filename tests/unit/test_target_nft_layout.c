/* SPDX-License-Identifier: GPL-2.0-or-later */
/* layout.c: names, sizes and registers; rules.c: every chain can be written, and its text is the canonical one
 * again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/target/nft/rules.h"
#include "../../src/target/nft/elem.h"
#include "base/util.h"

static void test_chain_names(void **state)
{
	static const char *const bad[] = { "",		 "pick-",	    "pick-0",
					   "pick-01",	 "pick-3x",	    "pick--1",
					   "affinity-3", "affinity-3-0",    "affinity-0-60",
					   "service",	 "pick-99999999999" };
	char name[NFT_CHAIN_NAME_MAX];
	struct chain_ref c;

	(void)state;
	assert_string_equal(chain_ref_name((struct chain_ref){ .n = 3 }, name), "pick-3");
	assert_int_equal(chain_ref_parse(name, &c), 0);
	assert_int_equal(c.n, 3);
	assert_int_equal(c.timeout_s, 0);
	assert_string_equal(chain_ref_name((struct chain_ref){ .n = 65535, .timeout_s = 86400 }, name),
			    "affinity-65535-86400");
	assert_int_equal(chain_ref_parse(name, &c), 0);
	assert_int_equal(c.timeout_s, 86400);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_true(chain_ref_parse(bad[i], &c) < 0);
}

/* The kernel has 16 registers of four bytes; a key, and key and data of a rule, must fit. */
static void test_sizes(void **state)
{
	(void)state;
	for (int fam = 0; fam < IP_FAMILY_MAX; fam++) {
		struct nft_regs r = nft_regs(fam);

		assert_true(r.saddr + nft_family[fam].addr_words <= 16);
		assert_true(r.index < 16);
		for (size_t set = 0; set < SET_MAX; set++) {
			assert_true(nft_key_size(set, fam) <= NFT_BYTES_MAX);
			assert_true(nft_data_size(set, fam) <= NFT_DATA_MAX);
			assert_true(nft_cluster_ip_offset(set, fam) + nft_family[fam].addr_size <=
				    nft_key_size(set, fam));
			assert_true(strlen(nft_set_spec[set].key) <= 5); /* types of six bits in 32 */
		}
	}
}

static void test_rules(void **state)
{
	(void)state;
	for (int fam = 0; fam < IP_FAMILY_MAX; fam++) {
		struct ip_prefix none = {}, cidr;

		assert_int_equal(ip_prefix_parse(fam == IP_V4 ? "10.244.1.0/24" : "fd44:1::/64", &cidr), 0);
		for (int id = 0; id < CHAIN_MAX + 2; id++) {
			struct chain_id c = { .fam = fam, .id = MIN(id, (int)CHAIN_MAX), .pod_cidr = &cidr };
			struct strbuf sb = STRBUF_INIT;
			struct rule_list rules;
			size_t n_lines = 0;

			if (id >= CHAIN_MAX)
				c.ref = (struct chain_ref){ .n = 7, .timeout_s = id == CHAIN_MAX ? 0 : 60 };
			assert_int_equal(rules_build(&c, &rules), 0);
			for (size_t i = 0; i < rules.n; i++) {
				char *text = NULL;

				assert_int_equal(rule_canonical(rules.v[i], &text), 0);
				assert_true(strlen(text) > 10);
				free(text);
			}
			rules_text(&c, "", &sb);
			for (const char *p = sb.buf; *p; p++)
				n_lines += *p == '\n';
			assert_int_equal(n_lines, rules.n);
			assert_null(strstr(sb.buf, "@ip"));
			assert_null(strstr(sb.buf, "@n "));
			assert_null(strstr(sb.buf, "@ts"));
			assert_null(strstr(sb.buf, "@cidr"));
			strbuf_free(&sb);
			rule_list_free(&rules);
		}
		/* Without a pod CIDR only hairpins are masqueraded. */
		struct chain_id c = { .fam = fam, .id = CHAIN_POSTROUTING, .pod_cidr = &none };
		struct rule_list rules;

		assert_int_equal(rules_build(&c, &rules), 0);
		assert_int_equal(rules.n, 1);
		rule_list_free(&rules);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chain_names),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_rules),
	};

	return cmocka_run_group_tests_name("target_nft_layout", tests, NULL, NULL);
}
