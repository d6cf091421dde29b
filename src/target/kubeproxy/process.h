/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The processes beside us: a server process (ours, forked) in the node's network namespace, and kube-proxy as its child. They talk over a socket
 * pair. When we die, so does the server, and with it kube-proxy: each asks the kernel for that (PR_SET_PDEATHSIG). What kube-proxy starts does not: it is
 * of the server's process group, which is ended by proc_end_group().
 */
#ifndef OFFKUBE_TARGET_KUBEPROXY_PROCESS_H
#define OFFKUBE_TARGET_KUBEPROXY_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "api.h"
#include "base/err.h"

#define KP_METRICS_PORT 10249
#define KP_HEALTHZ_PORT 10256
#define KP_WORDS_SIZE 400
#define KP_GROUP_END_MS 60000 /* a large transaction that the kernel has begun goes on after SIGKILL */

struct kp_process;

struct kp_process_conf {
	const char *program; /* path of kube-proxy */
	int netns_fd; /* -1 = the caller's own */
	const char *node;
	const char *cluster_cidr; /* "" = none */
};

/* What the server process knows of kube-proxy. */
struct kp_status {
	uint32_t n_asked; /* questions answered so far */
	pid_t proxy; /* 0 = not started */
	bool ended; /* it is gone; `words` say why */
	uint32_t n_begun[IP_FAMILY_MAX], n_done[IP_FAMILY_MAX]; /* synchronisations, by its log */
	uint32_t n_failed; /* of those done */
	char words[KP_WORDS_SIZE]; /* the last line of its log that is an error, else the last */
};

/* The server listens; kube-proxy is not started. */
int kp_process_start(const struct kp_process_conf *conf, struct kp_process **ret, struct err *e);
/* Ends both, and whatever kube-proxy has started, and waits for them. NULL is fine. */
void kp_process_stop(struct kp_process *p);
pid_t kp_process_pid(const struct kp_process *p);

/* Objects of the collections; `json` and `proto` are the same object. */
int kp_process_put(struct kp_process *p, enum api_kind kind, const char *key, uint64_t version,
		   const struct strbuf *json, const struct strbuf *proto, struct err *e);
/* As put, with the object's last state. */
int kp_process_del(struct kp_process *p, enum api_kind kind, const char *key, uint64_t version,
		   const struct strbuf *json, const struct strbuf *proto, struct err *e);
/* Starts kube-proxy; all objects should be there. */
int kp_process_run(struct kp_process *p, struct err *e);
/* How things are now, after everything that kube-proxy has written to its log. */
int kp_process_ask(struct kp_process *p, struct kp_status *ret, struct err *e);
/* Waits for news. 1 = *ret is new, 0 = none in that time. */
int kp_process_wait(struct kp_process *p, int timeout_ms, struct kp_status *ret, struct err *e);

/* ---- between the two processes ---- */

enum kp_op { KP_OP_PUT, KP_OP_DEL, KP_OP_RUN, KP_OP_ASK, KP_OP_MAX };

struct kp_msg {
	uint32_t op, kind, key_size, json_size, proto_size; /* key_size with its NUL */
	uint32_t zero;
	uint64_t version;
};

#define KP_MSG_KEY_MAX 1024
#define KP_MSG_BODY_MAX (8u << 20) /* of one encoding: a slice of 1,000 endpoints with all the hints of the world */

/* The server process; never returns. fd: its end of the socket pair. */
_Noreturn void kp_server_main(const struct kp_process_conf *conf, int fd);

#endif
