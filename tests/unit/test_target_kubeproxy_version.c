/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What kube-proxy says of its version. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "base/util.h"
#include "target/kubeproxy/kubeproxy.h"

static void test_version(void **state)
{
	static const char *const wrong[] = { "", "Kubernetes", "Kubernetes v", "Kubernetes v\n", "v1.36.3" };
	char version[TARGET_VERSION_MAX] = "untouched", lengthy[200] = "Kubernetes v";

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_int_equal(kp_version_parse(wrong[i], version), -EBADMSG);
	memset(lengthy + strlen(lengthy), '1', sizeof(lengthy) - strlen(lengthy) - 1);
	assert_int_equal(kp_version_parse(lengthy, version), -EBADMSG);
	assert_int_equal(kp_version_parse("Kubernetes v1.36.3\n", version), 0);
	assert_string_equal(version, "kube-proxy v1.36.3");
	assert_int_equal(kp_version_parse("I0101 a warning\nKubernetes v1.36.3-beta.0+1 and more", version), 0);
	assert_string_equal(version, "kube-proxy v1.36.3-beta.0+1");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_version) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
