/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Netlink sockets. Called by rtnl.c and by the targets that speak nf_tables and ctnetlink.
 *
 * The kernel handles a request within sendmsg(2): when it returns, all answers stand in the receive queue or have
 * been lost for want of room (ENOBUFS). So a batch can be sent whole before the first answer is read, and what is
 * left over can be drained without waiting. Answers with another sequence number are left-overs of a request that
 * was given up; they are skipped.
 */
#include "net/nl.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "net/netns.h"

#define RECV_SIZE (256u << 10) /* the kernel fills at most 32 KiB of a dump; one answer may quote its request */
#define SOCKET_BUFFER_SIZE (8 << 20)
#define ANSWER_TIMEOUT_MS 10000
#define DUMP_TRIES_MAX 20
#define EXTACK_SIZE 256

#ifndef NETLINK_CAP_ACK
#define NETLINK_CAP_ACK 10
#endif
#ifndef NETLINK_EXT_ACK
#define NETLINK_EXT_ACK 11
#endif

struct nl {
	struct mnl_socket *sock;
	int fd; /* sock's */
	uint32_t seq;
	size_t send_room; /* largest message that the socket takes */
	_Alignas(struct nlmsghdr) char buf[RECV_SIZE];
};

DEFINE_CLEANUP(struct nl *, nl_close);

/* Beyond the system's limit if we may, else as much as it gives. */
static int set_buffer(int fd, int option_force, int option, int size)
{
	if (setsockopt(fd, SOL_SOCKET, option_force, &size, sizeof(size)) == 0)
		return 0;
	return setsockopt(fd, SOL_SOCKET, option, &size, sizeof(size)) < 0 ? -errno : 0;
}

static int size_for_send(struct nl *nl, size_t size)
{
	socklen_t len = sizeof(int);
	int got = 0;
	int r;

	if (size > INT32_MAX / 4)
		return -EMSGSIZE;
	r = set_buffer(nl->fd, SO_SNDBUFFORCE, SO_SNDBUF, (int)size);
	if (r)
		return r;
	if (getsockopt(nl->fd, SOL_SOCKET, SO_SNDBUF, &got, &len) < 0)
		return -errno;
	nl->send_room = got > 64 ? (size_t)got - 64 : 0;
	return 0;
}

static int configure(struct nl *nl)
{
	int on = 1;
	int r;

	r = set_buffer(nl->fd, SO_RCVBUFFORCE, SO_RCVBUF, SOCKET_BUFFER_SIZE);
	if (!r)
		r = size_for_send(nl, SOCKET_BUFFER_SIZE);
	if (r)
		return r;
	/* Old kernels lack them; then errors come without words and with the whole request behind them. */
	(void)mnl_socket_setsockopt(nl->sock, NETLINK_CAP_ACK, &on, sizeof(on));
	(void)mnl_socket_setsockopt(nl->sock, NETLINK_EXT_ACK, &on, sizeof(on));
	return mnl_socket_bind(nl->sock, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : 0;
}

int nl_open(int netns_fd, int protocol, struct nl **ret, struct err *e)
{
	CLEANUP(nl_closep) struct nl *nl = calloc(1, sizeof(*nl));
	int old = -1;
	int r;

	if (!nl)
		return err_set(e, -ENOMEM, NULL, "out of memory");
	r = netns_enter(netns_fd, &old);
	if (r)
		return err_set_errno(e, r, NULL, "cannot enter the network namespace");
	nl->sock = mnl_socket_open2(protocol, SOCK_CLOEXEC);
	r = nl->sock ? 0 : -errno;
	netns_leave(old);
	if (r)
		return err_set_errno(e, r, NULL, "cannot open a netlink socket");
	nl->fd = mnl_socket_get_fd(nl->sock);
	r = configure(nl);
	if (r)
		return err_set_errno(e, r, NULL, "cannot set up a netlink socket");
	*ret = TAKE_PTR(nl);
	return 0;
}

void nl_close(struct nl *nl)
{
	if (!nl)
		return;
	if (nl->sock)
		(void)mnl_socket_close(nl->sock); /* only a handle */
	free(nl);
}

uint32_t nl_seq(struct nl *nl)
{
	if (++nl->seq == 0)
		nl->seq = 1;
	return nl->seq;
}

static int send_all(struct nl *nl, const void *msg, size_t size, struct err *e)
{
	ssize_t n;
	int r;

	if (size > nl->send_room) {
		r = size_for_send(nl, size + 4096);
		if (r || size > nl->send_room)
			return err_set(e, -EMSGSIZE, NULL, "the netlink socket takes no message of %zu bytes", size);
	}
	do {
		n = mnl_socket_sendto(nl->sock, msg, size);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set_errno(e, -errno, NULL, "the kernel takes no netlink message");
	return 0;
}

/* One datagram: its size, 0 when none came within timeout_ms, -errno. */
static ssize_t receive(struct nl *nl, int timeout_ms)
{
	struct pollfd p = { .fd = nl->fd, .events = POLLIN };
	ssize_t n;
	int r;

	do {
		r = poll(&p, 1, timeout_ms);
	} while (r < 0 && errno == EINTR);
	if (r <= 0)
		return r < 0 ? -errno : 0;
	do {
		n = mnl_socket_recvfrom(nl->sock, nl->buf, sizeof(nl->buf));
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* The extended-ack text behind an error; "" when there is none. */
static void read_extack(const struct nlmsghdr *nlh, char text[static EXTACK_SIZE])
{
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);
	size_t skip = sizeof(*err);
	const struct nlattr *attr;

	text[0] = '\0';
	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		skip += err->msg.nlmsg_len - sizeof(err->msg);
	if (skip > mnl_nlmsg_get_payload_len(nlh))
		return;
	mnl_attr_for_each(attr, nlh, skip)
	{
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG)
			(void)snprintf(text, EXTACK_SIZE, "%.*s", (int)mnl_attr_get_payload_len(attr),
				       mnl_attr_get_str(attr)); /* cut to the room there is */
	}
}

static int refused(const struct nlmsghdr *nlh, int code, struct err *e)
{
	char text[EXTACK_SIZE];

	read_extack(nlh, text);
	return err_set_errno(e, code, NULL, "%s", text[0] ? text : "the kernel refused the request");
}

/* The code of an NLMSG_ERROR or NLMSG_DONE message: 0 or -errno. */
static int answer_code(const struct nlmsghdr *nlh)
{
	int code = 0;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(code))
		return nlh->nlmsg_type == NLMSG_DONE ? 0 : -EBADMSG;
	memcpy(&code, mnl_nlmsg_get_payload(nlh), sizeof(code));
	if (nlh->nlmsg_type == NLMSG_ERROR && mnl_nlmsg_get_payload_len(nlh) < sizeof(struct nlmsgerr))
		return -EBADMSG;
	return code > 0 ? -code : code;
}

/* The answer to one request, while it is being read. */
struct answer {
	uint32_t seq;
	mnl_cb_t cb; /* NULL: replies are not wanted, or not any more */
	void *arg;
	int cb_error; /* what cb failed with */
	bool interrupted; /* the dump is not of one moment */
	bool done;
	int code; /* 0 or the kernel's -errno */
	struct err *e;
};

static void give_reply(struct answer *a, const struct nlmsghdr *nlh)
{
	int r;

	if (!a->cb)
		return;
	errno = 0;
	r = a->cb(nlh, a->arg);
	if (r <= MNL_CB_STOP)
		a->cb = NULL;
	if (r < 0)
		a->cb_error = errno ? -errno : -EINVAL;
}

static void read_datagram(struct answer *a, const void *buf, int size)
{
	for (const struct nlmsghdr *nlh = buf; mnl_nlmsg_ok(nlh, size); nlh = mnl_nlmsg_next(nlh, &size)) {
		if (nlh->nlmsg_seq != a->seq)
			continue;
		a->interrupted = a->interrupted || nlh->nlmsg_flags & NLM_F_DUMP_INTR;
		if (nlh->nlmsg_type == NLMSG_ERROR || nlh->nlmsg_type == NLMSG_DONE) {
			a->done = true;
			a->code = answer_code(nlh);
			if (a->code && nlh->nlmsg_type == NLMSG_ERROR)
				(void)refused(nlh, a->code, a->e); /* returns a->code */
			return;
		}
		if (nlh->nlmsg_type >= NLMSG_MIN_TYPE)
			give_reply(a, nlh);
	}
}

/* Sends and reads until the answer is complete. 0 = see a->code. */
static int converse(struct nl *nl, struct nlmsghdr *nlh, struct answer *a)
{
	int r;

	nlh->nlmsg_flags |= NLM_F_REQUEST;
	nlh->nlmsg_seq = a->seq = nl_seq(nl);
	r = send_all(nl, nlh, nlh->nlmsg_len, a->e);
	if (r)
		return r;
	while (!a->done) {
		ssize_t n = receive(nl, ANSWER_TIMEOUT_MS);

		if (n == 0)
			return err_set(a->e, -ETIMEDOUT, NULL, "the kernel did not answer a netlink request");
		if (n < 0)
			return (int)n; /* the caller says what it means */
		read_datagram(a, nl->buf, (int)n);
	}
	return 0;
}

static int fail_receive(int code, struct err *e)
{
	if (code == -ENOBUFS)
		return err_set(e, code, NULL,
			       "answers of the kernel were lost, the netlink socket had no room for them");
	return err_set_errno(e, code, NULL, "cannot read the kernel's netlink answer");
}

int nl_request(struct nl *nl, struct nlmsghdr *nlh, mnl_cb_t cb, void *arg, struct err *e)
{
	struct answer a = { .cb = cb, .arg = arg, .e = e };
	int r;

	nlh->nlmsg_flags |= NLM_F_ACK;
	r = converse(nl, nlh, &a);
	if (r)
		return fail_receive(r, e);
	if (a.code)
		return a.code;
	if (a.cb_error)
		return err_set_errno(e, a.cb_error, NULL, "cannot use the kernel's netlink answer");
	return 0;
}

int nl_dump(struct nl *nl, struct nlmsghdr *nlh, mnl_cb_t cb, void *arg, void (*restart)(void *arg), struct err *e)
{
	nlh->nlmsg_flags |= NLM_F_DUMP;
	for (int i = 0; i < DUMP_TRIES_MAX; i++) {
		struct answer a = { .cb = cb, .arg = arg, .e = e };
		int r;

		if (i && restart)
			restart(arg);
		r = converse(nl, nlh, &a);
		if (r && r != -ENOBUFS)
			return fail_receive(r, e);
		if (a.cb_error)
			return err_set_errno(e, a.cb_error, NULL, "cannot use the kernel's netlink answer");
		if (!r && a.code && a.code != -EINTR)
			return err_set_errno(e, a.code, NULL,
					     "the kernel broke off a dump"); /* keeps a text already there */
		if (!r && !a.code && !a.interrupted)
			return 0;
	}
	return err_set(e, -EAGAIN, NULL, "what the kernel lists kept changing, it was asked %d times", DUMP_TRIES_MAX);
}

/* What has been heard of a batch. */
struct batch {
	uint32_t last_seq;
	uint32_t bad_seq;
	int code; /* of the first refused message */
	bool last_answered;
	struct err *e;
};

static void read_batch_answers(struct batch *b, const void *buf, int size)
{
	for (const struct nlmsghdr *nlh = buf; mnl_nlmsg_ok(nlh, size); nlh = mnl_nlmsg_next(nlh, &size)) {
		int code;

		if (nlh->nlmsg_type != NLMSG_ERROR)
			continue;
		b->last_answered = b->last_answered || nlh->nlmsg_seq == b->last_seq;
		code = answer_code(nlh);
		if (!code || b->code)
			continue;
		b->code = code;
		b->bad_seq = nlh->nlmsg_seq;
		(void)refused(nlh, code, b->e); /* returns code */
	}
}

/* Left-overs of an earlier batch carry sequence numbers that could be taken for ours. */
static void drop_stale(struct nl *nl)
{
	ssize_t n;

	do {
		n = receive(nl, 0);
	} while (n > 0 || n == -ENOBUFS);
}

/* Reads until the last message is answered or one is refused, then what else is there. */
static int read_batch(struct nl *nl, struct batch *b)
{
	bool lost = false;

	for (;;) {
		bool enough = b->last_answered || b->code;
		ssize_t n = receive(nl, enough || lost ? 0 : ANSWER_TIMEOUT_MS);

		if (n == -ENOBUFS) {
			lost = true;
			continue;
		}
		if (n < 0)
			return fail_receive((int)n, b->e);
		if (n == 0 && enough && !(lost && !b->code))
			return 0;
		if (n == 0 && lost)
			return fail_receive(-ENOBUFS, b->e);
		if (n == 0)
			return err_set(b->e, -ETIMEDOUT, NULL, "the kernel did not answer a netlink batch");
		read_batch_answers(b, nl->buf, (int)n);
	}
}

int nl_batch(struct nl *nl, const void *batch, size_t size, uint32_t last_seq, uint32_t *ret_bad_seq, struct err *e)
{
	struct batch b = { .last_seq = last_seq, .e = e };
	int r;

	drop_stale(nl);
	r = send_all(nl, batch, size, e);
	if (r)
		return r;
	r = read_batch(nl, &b);
	if (r)
		return r;
	if (b.code && ret_bad_seq)
		*ret_bad_seq = b.bad_seq;
	return b.code;
}
