/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pins of target bpf-sock (bpf_pins.h). */
#include "bpf_pins.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "target/bpf/sock.h"

int bpf_pins_dir(int cgroup_fd, char dir[static BPF_PINS_DIR_SIZE])
{
	struct stat st;

	if (fstat(cgroup_fd, &st) < 0)
		return -errno;
	(void)snprintf(dir, BPF_PINS_DIR_SIZE, "%s/%llu-v%d", BPF_ROOT, (unsigned long long)st.st_ino, BPF_ABI_VERSION);
	return 0;
}

int bpf_pins_open(int cgroup_fd, const char *name)
{
	char dir[BPF_PINS_DIR_SIZE], path[BPF_PINS_DIR_SIZE + 32];
	int r = bpf_pins_dir(cgroup_fd, dir);

	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return bpf_obj_get(path);
}

int bpf_metrics_read(int metrics_fd, uint64_t ret[static REASON_MAX])
{
	int r = 0;

	for (uint32_t i = 0; i < REASON_MAX && r == 0; i++)
		r = map_sum(metrics_fd, &i, &ret[i]);
	return r;
}

int bpf_affinity_read(int cgroup_fd, const struct l4_tuple *t, const struct ip_addr *client, struct ip_addr *ret,
		      uint16_t *ret_port)
{
	struct bpf_client_key key = { .vip = bpf_vip_of(&t->dst, t->proto, t->dport), .client = bpf_addr_of(client) };
	struct bpf_affinity value;
	CLEANUP_FD int fd = bpf_pins_open(cgroup_fd, "affinity");
	int r = fd < 0 ? fd : bpf_map_lookup_elem(fd, &key, &value);

	if (r < 0)
		return r;
	*ret = bpf_addr_to_ip(&value.backend.addr);
	*ret_port = ntohs(value.backend.port);
	return 0;
}
