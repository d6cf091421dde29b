/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tuple hash and Maglev tables against the vectors of tools/gen-vectors.py, and the properties that make them worth having: balance,
 * little disruption, tables that are shared, memory.
 */
#include <errno.h>

#include "base/crc32c.h"
#include "base/rand.h"
#include "model/maglev.h"
#include "model_util.h"

#define BACKENDS_MAX 1024

static FILE *open_vectors(const char *name)
{
	const char *top = getenv("OFFKUBE_SOURCE_DIR");
	char path[4096];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/tests/vectors/%s", top ? top : ".", name);
	f = fopen(path, "re");
	if (!f)
		fail_msg("cannot open %s", path);
	return f;
}

static void tuple_hash_matches_vectors(void **state)
{
	CLEANUP_FILE FILE *f = open_vectors("tuple_hash.txt");
	char line[256], src[64], dst[64], proto[16];
	size_t n[IP_FAMILY_MAX] = { 0 };
	unsigned int sport, dport, hash;

	(void)state;
	while (fgets(line, sizeof(line), f)) {
		struct l4_tuple t = { 0 };

		if (line[0] == '#')
			continue;
		assert_int_equal(sscanf(line, "%63s %63s %u %u %15s 0x%x", src, dst, &sport, &dport, proto, &hash), 6);
		t = (struct l4_tuple){
			.src = ip(src), .dst = ip(dst), .sport = (uint16_t)sport, .dport = (uint16_t)dport
		};
		assert_int_equal(ip_proto_parse(proto, &t.proto), 0);
		if (tuple_hash(&t) != hash)
			fail_msg("0x%08x, not %s", tuple_hash(&t), line);
		n[ip_addr_family(&t.dst)]++;
	}
	assert_int_equal(n[IP_V4], 500);
	assert_int_equal(n[IP_V6], 500);
}

/* One table of the vectors: the line "table M N DIGEST" is read by the caller. */
static void check_table_vector(FILE *f, uint32_t m, size_t n, uint32_t digest)
{
	struct maglev_backend *b = calloc(n, sizeof(*b));
	uint16_t *slot = calloc(m, sizeof(*slot));
	uint8_t *bytes = calloc(m, 2);
	unsigned int port, want;
	char addr[64];

	assert_true(b && slot && bytes);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(fscanf(f, " backend %63s %u", addr, &port), 2);
		b[i] = (struct maglev_backend){ ip(addr), (uint16_t)port };
	}
	assert_int_equal(maglev_fill(b, n, m, slot), 0);
	assert_int_equal(fscanf(f, " slots"), 0);
	for (uint32_t i = 0; i < m && i < 256; i++) {
		assert_int_equal(fscanf(f, "%u", &want), 1);
		if (slot[i] != want)
			fail_msg("m %u n %zu: slot %u is %u, not %u", m, n, i, slot[i], want);
	}
	for (uint32_t i = 0; i < m; i++) {
		bytes[2 * i] = (uint8_t)(slot[i] >> 8);
		bytes[2 * i + 1] = (uint8_t)slot[i];
	}
	assert_int_equal(crc32c_update(0, bytes, 2 * (size_t)m), digest);
	free(b);
	free(slot);
	free(bytes);
}

static void tables_match_vectors(void **state)
{
	CLEANUP_FILE FILE *f = open_vectors("maglev.txt");
	unsigned int m, n, digest, n_tables = 0;
	char line[256];

	(void)state;
	while (fgets(line, sizeof(line), f)) {
		if (line[0] == '#' || line[0] == '\n')
			continue;
		assert_int_equal(sscanf(line, "table %u %u 0x%x", &m, &n, &digest), 3);
		check_table_vector(f, m, n, digest);
		n_tables++;
	}
	assert_int_equal(n_tables, 25);
}

static void size_is_smallest_power_of_two(void **state)
{
	(void)state;
	assert_int_equal(maglev_size(0, 0), 0);
	assert_int_equal(maglev_size(65536, 0), 0);
	assert_int_equal(maglev_size(1, 0), 128);
	assert_int_equal(maglev_size(2, 0), 256);
	assert_int_equal(maglev_size(10, 0), 1024);
	assert_int_equal(maglev_size(11, 0), 2048);
	assert_int_equal(maglev_size(65535, 0), 1u << 23);
	for (size_t n = 1; n <= UINT16_MAX; n += 1 + n / 50) {
		uint32_t m = maglev_size(n, 0);

		assert_int_equal(m & (m - 1), 0);
		assert_true(m >= 128 && m >= 100 * n);
		assert_true(m == 128 || m / 2 < 100 * n);
	}
}

static void size_has_hysteresis(void **state)
{
	(void)state;
	/* Growing: kept until it would be below 100 slots a backend. */
	assert_int_equal(maglev_size(20, 2048), 2048);
	assert_int_equal(maglev_size(21, 2048), 4096);
	/* Shrinking: kept until it would be above 400. */
	assert_int_equal(maglev_size(11, 4096), 4096);
	assert_int_equal(maglev_size(10, 4096), 1024);
	/* Nonsense is not kept. */
	assert_int_equal(maglev_size(10, 1500), 1024);
	assert_int_equal(maglev_size(1, 64), 128);
	/* A backend that comes and goes never changes the size twice. */
	for (size_t n = 1; n < 3000; n++) {
		uint32_t m = maglev_size(n, 0), more = maglev_size(n + 1, m);

		assert_int_equal(maglev_size(n, more), more);
	}
}

static int backend_cmp(const void *a, const void *b)
{
	const struct maglev_backend *x = a, *y = b;
	int d = ip_addr_cmp(&x->addr, &y->addr);

	return d ? d : (int)x->port - (int)y->port;
}

static void random_backends(struct rng *rng, struct maglev_backend *b, size_t n)
{
	for (size_t i = 0; i < n; i++) /* distinct: the number of the backend is in the address */
		b[i] = (struct maglev_backend){ ip4_nth((uint32_t)(rng_below(rng, 1 << 14) << 10 | i)),
						(uint16_t)(1 + rng_below(rng, 65535)) };
	qsort(b, n, sizeof(*b), backend_cmp);
}

static void fill_refuses_bad_input(void **state)
{
	struct maglev_backend b[3] = { { ip("10.0.0.1"), 80 }, { ip("10.0.0.1"), 81 }, { ip("10.0.0.2"), 80 } };
	struct maglev_backend twins[2] = { b[0], b[0] }, unsorted[2] = { b[1], b[0] };
	uint16_t slot[256];

	(void)state;
	assert_int_equal(maglev_fill(b, 3, 256, slot), 0);
	assert_int_equal(maglev_fill(b, 0, 256, slot), -EINVAL);
	assert_int_equal(maglev_fill(b, 3, 255, slot), -EINVAL);
	assert_int_equal(maglev_fill(b, 3, 2, slot), -EINVAL);
	assert_int_equal(maglev_fill(b, 3, 0, slot), -EINVAL);
	assert_int_equal(maglev_fill(twins, 2, 256, slot), -EINVAL);
	assert_int_equal(maglev_fill(unsorted, 2, 256, slot), -EINVAL);
	assert_int_equal(maglev_fill(b, 1, 1, slot), 0);
	assert_int_equal(slot[0], 0);
}

/* All slots are taken, and the backends' shares differ by one slot at most. */
static void shares_are_balanced(void **state)
{
	static const size_t sizes[] = { 1, 2, 3, 7, 10, 81, 100, 163, 1000 };
	struct maglev_backend b[BACKENDS_MAX];
	struct rng rng;

	(void)state;
	rng_seed(&rng, 21);
	for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
		size_t n = sizes[k], share[BACKENDS_MAX] = { 0 };
		uint32_t m = maglev_size(n, 0);
		uint16_t *slot = calloc(m, sizeof(*slot));

		random_backends(&rng, b, n);
		assert_int_equal(maglev_fill(b, n, m, slot), 0);
		for (uint32_t i = 0; i < m; i++) {
			assert_true(slot[i] < n);
			share[slot[i]]++;
		}
		for (size_t i = 0; i < n; i++)
			assert_in_range(share[i], m / n, (m + n - 1) / n);
		free(slot);
	}
}

/* Connections of other backends that move when one of n leaves, as a part of all slots. */
static double disruption(struct rng *rng, size_t n, uint32_t m)
{
	struct maglev_backend b[BACKENDS_MAX];
	uint16_t *before = calloc(m, sizeof(*before)), *after = calloc(m, sizeof(*after));
	size_t gone = rng_below(rng, n), moved = 0;

	random_backends(rng, b, n);
	assert_int_equal(maglev_fill(b, n, m, before), 0);
	memmove(b + gone, b + gone + 1, (n - gone - 1) * sizeof(*b));
	assert_int_equal(maglev_fill(b, n - 1, m, after), 0);
	for (uint32_t i = 0; i < m; i++)
		if (before[i] != gone && after[i] + (after[i] >= gone) != before[i])
			moved++;
	free(before);
	free(after);
	return (double)moved / m;
}

/*
 * The bounds are those of Maglev itself: a table of prime size does no better (measured beside this one: 2.4 % at n = 10, M = 1021). The
 * mean falls with n and with M / n; a single small table can be unlucky, hence the looser bound on the worst.
 */
static void one_leaving_moves_few_others(void **state)
{
	static const struct {
		size_t n;
		uint32_t m; /* 0: as maglev_size */
		double mean_max, worst_max;
	} rows[] = {
		{ 5, 0, 0.03, 0.25 },	    { 10, 0, 0.03, 0.15 },   { 10, 4096, 0.015, 0.04 }, { 50, 0, 0.02, 0.05 },
		{ 100, 65536, 0.01, 0.02 }, { 300, 0, 0.015, 0.02 }, { 1000, 0, 0.01, 0.01 },
	};
	struct rng rng;

	(void)state;
	rng_seed(&rng, 22);
	for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
		uint32_t m = rows[k].m ? rows[k].m : maglev_size(rows[k].n, 0);
		int rounds = rows[k].n >= 100 ? 5 : 100;
		double sum = 0, worst = 0;

		for (int i = 0; i < rounds; i++) {
			double d = disruption(&rng, rows[k].n, m);

			sum += d;
			worst = MAX(worst, d);
		}
		print_message("n %zu m %u: moved beyond the leaver's own: mean %.2f %%, worst %.2f %%\n", rows[k].n, m,
			      100 * sum / rounds, 100 * worst);
		assert_true(sum / rounds <= rows[k].mean_max);
		assert_true(worst <= rows[k].worst_max);
	}
}

static void equal_sets_share_a_table(void **state)
{
	struct maglev_backend b[10], copy[10];
	struct maglev_pool *p = NULL;
	const struct maglev *t[4] = { NULL };
	struct rng rng;
	size_t empty, one;

	(void)state;
	rng_seed(&rng, 23);
	random_backends(&rng, b, 10);
	memcpy(copy, b, sizeof(b));
	assert_int_equal(maglev_pool_new(&p), 0);
	empty = maglev_pool_bytes(p);
	assert_int_equal(maglev_get(p, b, 10, 0, &t[0]), 0);
	one = maglev_pool_bytes(p);
	assert_true(one >= empty + 1024 * sizeof(uint16_t));
	assert_int_equal(maglev_get(p, copy, 10, 0, &t[1]), 0);
	assert_ptr_equal(t[0], t[1]);
	assert_int_equal(maglev_pool_bytes(p), one);
	assert_int_equal(t[0]->m, 1024);
	assert_int_equal(t[0]->n, 10);

	/* Another list, and another size, are other tables. */
	assert_int_equal(maglev_get(p, b, 9, t[0]->m, &t[2]), 0);
	assert_ptr_not_equal(t[2], t[0]);
	assert_int_equal(t[2]->m, 1024);
	assert_int_equal(maglev_get(p, b, 10, 2048, &t[3]), 0);
	assert_ptr_not_equal(t[3], t[0]);
	assert_int_equal(t[3]->m, 2048);
	maglev_put(p, t[3]);
	maglev_put(p, t[2]);
	assert_int_equal(maglev_pool_bytes(p), one);

	/* The first reference given back leaves the table whole. */
	maglev_put(p, t[0]);
	assert_int_equal(maglev_pool_bytes(p), one);
	for (uint32_t i = 0; i < t[1]->m; i++)
		assert_true(t[1]->slot[i] < 10);
	maglev_put(p, t[1]);
	assert_int_equal(maglev_pool_bytes(p), empty);
	maglev_put(p, NULL);
	assert_int_equal(maglev_get(p, b, 0, 0, &t[0]), -EINVAL);
	copy[1] = copy[0];
	assert_int_equal(maglev_get(p, copy, 10, 0, &t[0]), -EINVAL);
	assert_int_equal(maglev_pool_bytes(p), empty);
	maglev_pool_free(p);
	maglev_pool_free(NULL);
}

/* DESIGN: 30,000 Services x 10 backends stay under 100 MiB, even if no two have the same backends; freeing the pool frees them. */
static void many_services_fit(void **state)
{
	struct maglev_pool *p = NULL;
	const struct maglev *t = NULL;
	size_t bytes;

	(void)state;
	assert_int_equal(maglev_pool_new(&p), 0);
	for (uint32_t s = 0; s < 30000; s++) {
		struct maglev_backend b[10];

		for (uint32_t i = 0; i < ARRAY_LEN(b); i++)
			b[i] = (struct maglev_backend){ ip4_nth(10 * s + i), 8080 };
		assert_int_equal(maglev_get(p, b, ARRAY_LEN(b), 0, &t), 0);
		assert_int_equal(maglev_get(p, b, ARRAY_LEN(b), 0, &t),
				 0); /* a second Service with the same backends */
	}
	bytes = maglev_pool_bytes(p);
	print_message("30,000 tables of 10 backends: %.1f MiB\n", (double)bytes / (1 << 20));
	assert_in_range(bytes, 30000ul * 2048, 100ul << 20);
	maglev_pool_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tuple_hash_matches_vectors),
		cmocka_unit_test(tables_match_vectors),
		cmocka_unit_test(size_is_smallest_power_of_two),
		cmocka_unit_test(size_has_hysteresis),
		cmocka_unit_test(fill_refuses_bad_input),
		cmocka_unit_test(shares_are_balanced),
		cmocka_unit_test(one_leaving_moves_few_others),
		cmocka_unit_test(equal_sets_share_a_table),
		cmocka_unit_test(many_services_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
