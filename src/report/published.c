/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Published figures that stand beside ours, with their source. Called by figure_curve.c, figure_rows.c and the page. */
#include "published.h"

#include "base/util.h"

const struct published published[] = {
	{ "socket bypass of the seed project, VM of 4 CPUs",
	  "ping-echo mean latency 139.8 → 91.2 µs without a mesh (−35 %), 551.5 → 320.4 µs behind a sidecar (−42 %); requests per second "
	  "+60 %, +71 %",
	  "echo" },
	{ "socket bypass of the seed project, VM of 4 CPUs",
	  "transfer of 1,000 MiB −21 % time without a mesh, +21 % behind a sidecar; redis +46 % without a mesh, −1 % behind a sidecar, CPU up to "
	  "+29 %",
	  "file, redis" },
	{ "kube-proxy in nftables mode, its developers",
	  "one change at 10,000 Services 141 ms; at 44,000 Services 1.33 s; 5,000 Services with 250,000 endpoints 2 to 20 min per sync; "
	  "first-packet latency flat from 5,000 to 30,000 Services",
	  "scale" },
	{ "CNI benchmark 2024, 40 Gbit/s, TCP, 8 streams",
	  "bare metal 39.5 Gbit/s at 0.68 cores per 10 Gbit/s (softirq not counted); Cilium 39.2 Gbit/s", "bulk" },
	{ "Katran, XDP paper", "about 10 times IPVS; 5.2 Mpps per core against 1.2", "none yet" },
	{ "loxilb", "netperf CRR 375,000 /s against IPVS 174,000 /s", "connect" },
	{ "ONCache (overlay cache)", "TCP throughput +12 %, request-response +36 %", "echo, bulk" },
	{ "SilkRoad, Sailfish, Tiara (switch, FPGA)", "10 M connections; 1.8 Gpps at 2 µs; 1.8 M connections/s",
	  "none yet" },
	{ "eUPF, upf-bpf", "5 Mpps on one queue; 10.9 Mpps on six", "none yet" },
};
const size_t n_published = ARRAY_LEN(published);

const struct published_change published_changes[] = { { 10000, 141 }, { 44000, 1330 } };
const size_t n_published_changes = ARRAY_LEN(published_changes);
