/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CRC-32C: published vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/crc32c.h"

static uint32_t whole(const void *data, size_t size)
{
	return ~crc32c_update(~0u, data, size);
}

/* The check value, and the vectors of RFC 3720 B.4. */
static void published_vectors(void **state)
{
	unsigned char v[32];

	(void)state;
	assert_true(whole("123456789", 9) == 0xe3069283);
	memset(v, 0, sizeof(v));
	assert_true(whole(v, sizeof(v)) == 0x8a9136aa);
	memset(v, 0xff, sizeof(v));
	assert_true(whole(v, sizeof(v)) == 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		v[i] = (unsigned char)i;
	assert_true(whole(v, sizeof(v)) == 0x46dd794e);
	for (int i = 0; i < 32; i++)
		v[i] = (unsigned char)(31 - i);
	assert_true(whole(v, sizeof(v)) == 0x113fdb5c);
}

static void pieces_make_the_whole(void **state)
{
	const char text[] = "any text, cut anywhere";
	uint32_t all = crc32c_update(0, text, sizeof(text));

	(void)state;
	for (size_t cut = 0; cut <= sizeof(text); cut++) {
		uint32_t crc = crc32c_update(0, text, cut);

		assert_true(crc32c_update(crc, text + cut, sizeof(text) - cut) == all);
	}
}

/* init 0, no final xor, as the model's tuple hash has it: linear. */
static void raw_form_is_linear(void **state)
{
	const unsigned char a[4] = { 1, 2, 3, 4 }, b[4] = { 9, 8, 7, 6 };
	unsigned char x[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		x[i] = a[i] ^ b[i];
	assert_true(crc32c_update(0, x, 4) == (crc32c_update(0, a, 4) ^ crc32c_update(0, b, 4)));
	assert_true(crc32c_update(0, "\0\0", 2) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_vectors),
		cmocka_unit_test(pieces_make_the_whole),
		cmocka_unit_test(raw_form_is_linear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
