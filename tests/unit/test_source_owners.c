/* SPDX-License-Identifier: GPL-2.0-or-later */
/* source/file/owners.c: in the dump of a cluster what was observed is not expanded again. */
#include "source_case.h"

#define OWNER(kind, name) \
	"ownerReferences: [{apiVersion: apps/v1, kind: " kind ", name: " name ", uid: x, controller: true}]"
#define DEPLOYMENT M_WORKLOAD("Deployment", "web", "replicas: 2, ", "")
#define REPLICA_SET(owner)                                                                   \
	"---\napiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: web-abc12" owner "}\n" \
	"spec: {replicas: 2, template: {metadata: {labels: {app: web}}, spec: {containers: []}}}\n"
#define POD(name, owner)                                               \
	"---\napiVersion: v1\nkind: Pod\nmetadata: {name: p" name      \
	", labels: {app: web, pod-template-hash: abc12}, " owner "}\n" \
	"spec: {nodeName: node-1, containers: []}\nstatus: {podIP: 10.244.0." name "}\n"

static void test_deployment_with_pods(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c, DEPLOYMENT, REPLICA_SET(", " OWNER("Deployment", "web")),
		  POD("7", OWNER("ReplicaSet", "web-abc12")), POD("8", OWNER("ReplicaSet", "web-abc12")));
	assert_string_equal(case_pods(&c), "p7@node-1 p8@node-1");
	assert_string_equal(case_pod(&c, "p7")->workload, "Deployment/web");
	case_free(&c);
}

/* kubectl get deployments,pods: the ReplicaSet is not there. */
static void test_without_the_one_between(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c, POD("7", OWNER("ReplicaSet", "web-abc12")), DEPLOYMENT);
	assert_string_equal(case_pods(&c), "p7@node-1");
	assert_string_equal(case_pod(&c, "p7")->workload, "Deployment/web");
	case_free(&c);
}

/* kubectl get deployments,replicasets: pods are made once, for the Deployment. */
static void test_without_pods(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c, DEPLOYMENT, REPLICA_SET(", " OWNER("Deployment", "web")));
	assert_string_equal(case_pods(&c), "web-0@node-1 web-1@node-2");
	/* Its Deployment is not there: the ReplicaSet is what we have. */
	case_good(&c, REPLICA_SET(", " OWNER("Deployment", "other")));
	assert_string_equal(case_pods(&c), "web-abc12-0@node-1 web-abc12-1@node-2");
	case_free(&c);
}

static void test_only_pods(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c, POD("7", OWNER("ReplicaSet", "web-abc12")), POD("8", OWNER("Job", "batch")));
	assert_string_equal(case_pod(&c, "p7")->workload, "ReplicaSet/web-abc12");
	assert_string_equal(case_pod(&c, "p8")->workload, "Job/batch");
	case_free(&c);
}

/* A Pod of somebody else does not stop the Deployment. */
static void test_not_its_pods(void **state)
{
	struct source_case c = {};

	(void)state;
	case_good(&c, DEPLOYMENT, POD("7", OWNER("ReplicaSet", "webs-abc12")), POD("8", "annotations: {}"));
	assert_string_equal(case_pods(&c), "p7@node-1 p8@node-1 web-0@node-2 web-1@node-1");
	case_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deployment_with_pods), cmocka_unit_test(test_without_the_one_between),
		cmocka_unit_test(test_without_pods),	     cmocka_unit_test(test_only_pods),
		cmocka_unit_test(test_not_its_pods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
