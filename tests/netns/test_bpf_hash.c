/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hash that BPF programs choose by is the model's, on all vectors: in the kernel, as compiled for it. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "bpf_hash.skel.h"
#include "target/bpf/table.h"

#define VECTORS_MIN 1000

/* As in bpf_hash.bpf.c. */
struct bpf_hash_args {
	struct bpf_vip vip;
	struct bpf_addr src;
	__be16 sport;
	__u16 pad;
	__u32 hash;
};

static int parse(const char *line, struct bpf_hash_args *ret, unsigned int *ret_want)
{
	char src[64], dst[64], proto[8];
	struct ip_addr a, b;
	unsigned int sport, dport;
	uint8_t number;

	if (sscanf(line, "%63s %63s %u %u %7s %x", src, dst, &sport, &dport, proto, ret_want) != 6 ||
	    ip_addr_parse(src, &a) < 0 || ip_addr_parse(dst, &b) < 0 || ip_proto_parse(proto, &number) < 0)
		return -EINVAL;
	*ret = (struct bpf_hash_args){ .vip = bpf_vip_of(&b, number, (uint16_t)dport),
				       .src = bpf_addr_of(&a),
				       .sport = htons((uint16_t)sport) };
	return 0;
}

static int check(int prog_fd, const char *line)
{
	struct bpf_hash_args args;
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &args, .ctx_size_in = sizeof(args));
	unsigned int want;
	int r = parse(line, &args, &want);

	if (r < 0) {
		printf("cannot read: %s", line);
		return r;
	}
	r = bpf_prog_test_run_opts(prog_fd, &opts);
	if (r < 0) {
		printf("cannot run the program: %s\n", strerror(-r));
		return r;
	}
	if (args.hash == want)
		return 0;
	printf("BPF says 0x%08x: %s", args.hash, line);
	return -EBADMSG;
}

static int check_all(int prog_fd)
{
	const char *source = getenv("OFFKUBE_SOURCE_DIR");
	CLEANUP_FREE char *path = str_printf("%s/tests/vectors/tuple_hash.txt", source ? source : ".");
	CLEANUP_FILE FILE *f = path ? fopen(path, "re") : NULL;
	CLEANUP_FREE char *line = NULL;
	size_t cap = 0, n = 0;
	int r = f ? 0 : -errno;

	while (r == 0 && getline(&line, &cap, f) > 0) {
		if (line[0] == '#' || line[0] == '\n')
			continue;
		r = check(prog_fd, line);
		n++;
	}
	printf("%zu vectors\n", n);
	return r ? r : n < VECTORS_MIN ? -ENODATA : 0;
}

int main(void)
{
	struct bpf_hash_bpf *skel = bpf_hash_bpf__open_and_load();
	int err = errno, r;

	if (!skel) {
		printf("%s%s\n",
		       err == EPERM || err == EACCES ? "SKIP: " : "the program does not load: ", strerror(err));
		return err == EPERM || err == EACCES ? 77 : 1;
	}
	r = check_all(bpf_program__fd(skel->progs.run_hash));
	bpf_hash_bpf__destroy(skel);
	return r ? 1 : 0;
}
