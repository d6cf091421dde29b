/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Netlink conversations against the running kernel: requests, dumps, nf_tables batches of megabytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "net/netns.h"
#include "net/nl.h"

#define BATCH_SIZE_MAX (16u << 20)

struct fixture {
	int netns;
	struct nl *nl;
	char *buf; /* the batch */
	size_t size;
	uint32_t last_seq;
};

static void assert_ok(int r, const struct err *e)
{
	if (r)
		fail_msg("%d %s: %s", r, e->path, e->text);
}
#define OK(call)                           \
	do {                               \
		struct err ok_err = { 0 }; \
		int r_ = (call);           \
		assert_ok(r_, &ok_err);    \
	} while (0)

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->buf = malloc(BATCH_SIZE_MAX);
	OK(netns_create_anonymous(&f->netns, &ok_err));
	OK(nl_open(f->netns, NETLINK_NETFILTER, &f->nl, &ok_err));
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	nl_close(f->nl);
	close(f->netns);
	free(f->buf);
	free(f);
	return 0;
}

static struct nlmsghdr *add_message(struct fixture *f, uint16_t type, uint16_t flags, uint8_t family, uint16_t res_id)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)(f->buf + f->size);
	struct nfgenmsg *nfg;

	assert_true(f->size + 4096 < BATCH_SIZE_MAX);
	memset(nlh, 0, 4096);
	(void)mnl_nlmsg_put_header(nlh);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = f->last_seq = nl_seq(f->nl);
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = family;
	nfg->res_id = htons(res_id);
	return nlh;
}

static void end_message(struct fixture *f, const struct nlmsghdr *nlh)
{
	f->size += NLMSG_ALIGN(nlh->nlmsg_len);
}

static void begin_batch(struct fixture *f)
{
	f->size = 0;
	end_message(f, add_message(f, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
}

static void end_batch(struct fixture *f)
{
	uint32_t last = f->last_seq;

	end_message(f, add_message(f, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
	f->last_seq = last;
}

static void add_table(struct fixture *f, const char *name, uint16_t flags)
{
	struct nlmsghdr *nlh =
		add_message(f, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE, NLM_F_CREATE | flags, NFPROTO_INET, 0);

	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, name);
	end_message(f, nlh);
}

static uint32_t add_chain(struct fixture *f, const char *table, int number, uint16_t flags)
{
	struct nlmsghdr *nlh =
		add_message(f, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWCHAIN, NLM_F_CREATE | flags, NFPROTO_INET, 0);
	char name[64];

	snprintf(name, sizeof(name), "a-chain-with-a-long-name-%06d", number);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_TABLE, table);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, name);
	end_message(f, nlh);
	return nlh->nlmsg_seq;
}

static int count_reply(const struct nlmsghdr *nlh, void *arg)
{
	(void)nlh;
	++*(int *)arg;
	return MNL_CB_OK;
}

static int stop_reply(const struct nlmsghdr *nlh, void *arg)
{
	(void)nlh;
	++*(int *)arg;
	return MNL_CB_STOP;
}

static int fail_reply(const struct nlmsghdr *nlh, void *arg)
{
	(void)nlh;
	(void)arg;
	errno = EXFULL;
	return MNL_CB_ERROR;
}

static struct nlmsghdr *dump_request(char *buf, size_t size, uint16_t type)
{
	struct nlmsghdr *nlh;
	struct nfgenmsg *nfg;

	memset(buf, 0, size);
	nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = NFPROTO_INET;
	return nlh;
}

static int count_objects(struct nl *nl, uint16_t type)
{
	_Alignas(8) char buf[256];
	int n = 0;

	OK(nl_dump(nl, dump_request(buf, sizeof(buf), type), count_reply, &n, NULL, &ok_err));
	return n;
}

static void a_batch_of_megabytes(void **state)
{
	struct fixture *f = *state;
	uint32_t bad = 77;

	begin_batch(f);
	add_table(f, "t", 0);
	for (int i = 0; i < 50000; i++)
		add_chain(f, "t", i, i == 49999 ? NLM_F_ACK : 0);
	end_batch(f);
	assert_true(f->size > 3u << 20);
	OK(nl_batch(f->nl, f->buf, f->size, f->last_seq, &bad, &ok_err));
	assert_int_equal(bad, 77);
	assert_int_equal(count_objects(f->nl, NFT_MSG_GETCHAIN), 50000);
}

static void a_refused_message_is_named_and_nothing_is_in_force(void **state)
{
	struct fixture *f = *state;
	uint32_t bad_seq, bad = 0;
	struct err e = { 0 };

	begin_batch(f);
	add_table(f, "t", 0);
	add_chain(f, "t", 1, 0);
	bad_seq = add_chain(f, "no-such-table", 2, 0);
	add_chain(f, "another", 3, 0);
	add_chain(f, "t", 4, NLM_F_ACK);
	end_batch(f);
	assert_int_equal(nl_batch(f->nl, f->buf, f->size, f->last_seq, &bad, &e), -ENOENT);
	assert_int_equal(bad, bad_seq);
	assert_int_equal(e.code, -ENOENT);
	assert_true(strlen(e.text) > 0);
	assert_int_equal(count_objects(f->nl, NFT_MSG_GETTABLE), 0);
	assert_int_equal(nl_batch(f->nl, f->buf, f->size, f->last_seq, NULL, NULL), -ENOENT);
}

static void an_error_in_the_last_message_counts(void **state)
{
	struct fixture *f = *state;
	uint32_t bad = 0;

	begin_batch(f);
	add_table(f, "t", 0);
	add_chain(f, "no-such-table", 1, NLM_F_ACK);
	end_batch(f);
	assert_int_equal(nl_batch(f->nl, f->buf, f->size, f->last_seq, &bad, NULL), -ENOENT);
	assert_int_equal(bad, f->last_seq);
}

/* The socket is as good as new after each kind of failure. */
static void assert_usable(struct fixture *f)
{
	begin_batch(f);
	add_table(f, "usable", NLM_F_ACK);
	end_batch(f);
	OK(nl_batch(f->nl, f->buf, f->size, f->last_seq, NULL, &ok_err));
	assert_true(count_objects(f->nl, NFT_MSG_GETTABLE) >= 1);
}

static void many_errors_do_not_block(void **state)
{
	struct fixture *f = *state;
	uint32_t first = 0, bad = 0;

	begin_batch(f);
	for (int i = 0; i < 20000; i++) {
		uint32_t seq = add_chain(f, "no-such-table", i, i == 19999 ? NLM_F_ACK : 0);

		first = first ? first : seq;
	}
	end_batch(f);
	assert_int_equal(nl_batch(f->nl, f->buf, f->size, f->last_seq, &bad, NULL), -ENOENT);
	assert_int_equal(bad, first);
	assert_usable(f);
}

static void lost_answers_are_told(void **state)
{
	struct fixture *f = *state;
	struct err e = { 0 };

	begin_batch(f);
	add_table(f, "t", 0);
	for (int i = 0; i < 150000; i++)
		add_chain(f, "t", i, NLM_F_ACK);
	end_batch(f);
	assert_int_equal(nl_batch(f->nl, f->buf, f->size, f->last_seq, NULL, &e), -ENOBUFS);
	assert_non_null(strstr(e.text, "were lost"));
	assert_usable(f);
}

static void dumps_stop_and_fail_cleanly(void **state)
{
	struct fixture *f = *state;
	_Alignas(8) char buf[256];
	struct err e = { 0 };
	int n = 0;

	begin_batch(f);
	add_table(f, "t", 0);
	for (int i = 0; i < 5000; i++)
		add_chain(f, "t", i, i == 4999 ? NLM_F_ACK : 0);
	end_batch(f);
	OK(nl_batch(f->nl, f->buf, f->size, f->last_seq, NULL, &ok_err));
	OK(nl_dump(f->nl, dump_request(buf, sizeof(buf), NFT_MSG_GETCHAIN), stop_reply, &n, NULL, &ok_err));
	assert_int_equal(n, 1);
	assert_int_equal(nl_dump(f->nl, dump_request(buf, sizeof(buf), NFT_MSG_GETCHAIN), fail_reply, NULL, NULL, &e),
			 -EXFULL);
	assert_int_equal(e.code, -EXFULL);
	assert_int_equal(count_objects(f->nl, NFT_MSG_GETCHAIN), 5000);
}

static void forget_count(void *arg)
{
	*(int *)arg = 0;
}

struct disturbed {
	struct fixture *f;
	struct nl *other;
	int n, n_restarts;
};

/* Changes the rule set while it is being listed, the first time only. */
static int disturb(const struct nlmsghdr *nlh, void *arg)
{
	struct disturbed *d = arg;

	(void)nlh;
	if (d->n++ == 0 && d->n_restarts == 0) {
		begin_batch(d->f);
		add_table(d->f, "disturbance", NLM_F_ACK);
		end_batch(d->f);
		OK(nl_batch(d->other, d->f->buf, d->f->size, d->f->last_seq, NULL, &ok_err));
	}
	return MNL_CB_OK;
}

static void restart_disturbed(void *arg)
{
	struct disturbed *d = arg;

	d->n = 0;
	d->n_restarts++;
}

static void an_interrupted_dump_begins_again(void **state)
{
	struct fixture *f = *state;
	struct disturbed d = { .f = f };
	_Alignas(8) char buf[256];
	int n = 0;

	OK(nl_open(f->netns, NETLINK_NETFILTER, &d.other, &ok_err));
	begin_batch(f);
	add_table(f, "t", 0);
	for (int i = 0; i < 5000; i++)
		add_chain(f, "t", i, i == 4999 ? NLM_F_ACK : 0);
	end_batch(f);
	OK(nl_batch(f->nl, f->buf, f->size, f->last_seq, NULL, &ok_err));
	OK(nl_dump(f->nl, dump_request(buf, sizeof(buf), NFT_MSG_GETCHAIN), disturb, &d, restart_disturbed, &ok_err));
	nl_close(d.other);
	assert_int_equal(d.n_restarts, 1);
	assert_int_equal(d.n, 5000);
	OK(nl_dump(f->nl, dump_request(buf, sizeof(buf), NFT_MSG_GETTABLE), count_reply, &n, forget_count, &ok_err));
	assert_int_equal(n, 2);
}

static void requests_give_replies_and_words(void **state)
{
	struct fixture *f = *state;
	_Alignas(8) char buf[256];
	struct nlmsghdr *nlh;
	struct err e = { 0 };
	int n = 0;

	assert_usable(f);
	nlh = dump_request(buf, sizeof(buf), NFT_MSG_GETTABLE);
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, "usable");
	OK(nl_request(f->nl, nlh, count_reply, &n, &ok_err));
	assert_int_equal(n, 1);
	nlh = dump_request(buf, sizeof(buf), NFT_MSG_GETTABLE);
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, "none");
	assert_int_equal(nl_request(f->nl, nlh, count_reply, &n, &e), -ENOENT);
	assert_int_equal(n, 1);
	assert_true(strstr(e.text, "No such file or directory") != NULL);
	nlh = dump_request(buf, sizeof(buf), NFT_MSG_GETTABLE);
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, "usable");
	assert_int_equal(nl_request(f->nl, nlh, fail_reply, NULL, NULL), -EXFULL);
	assert_usable(f);
}

static void sequence_numbers_are_fresh(void **state)
{
	struct fixture *f = *state;
	uint32_t last = 0;

	for (int i = 0; i < 1000; i++) {
		uint32_t seq = nl_seq(f->nl);

		assert_true(seq > last);
		last = seq;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_batch_of_megabytes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_refused_message_is_named_and_nothing_is_in_force, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_error_in_the_last_message_counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(many_errors_do_not_block, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lost_answers_are_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(dumps_stop_and_fail_cleanly, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_interrupted_dump_begins_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(requests_give_replies_and_words, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sequence_numbers_are_fresh, set_up, tear_down),
	};
	struct nl *nl = NULL;
	struct err e = { 0 };
	int fd = -1;
	int n = 0;
	_Alignas(8) char buf[256];

	if (netns_create_anonymous(&fd, &e) || nl_open(fd, NETLINK_NETFILTER, &nl, &e) ||
	    nl_dump(nl, dump_request(buf, sizeof(buf), NFT_MSG_GETTABLE), count_reply, &n, NULL, &e)) {
		printf("SKIP: no nf_tables in a namespace of our own: %s\n", e.text);
		nl_close(nl);
		if (fd >= 0)
			close(fd);
		return 77;
	}
	nl_close(nl);
	close(fd);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
