/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ports that the programs in our server pods listen on. Private to measure/. */
#ifndef OFFKUBE_MEASURE_EVAL_SERVER_PORTS_H
#define OFFKUBE_MEASURE_EVAL_SERVER_PORTS_H

#define SERVER_HTTP_PORT 8080
#define SERVER_FILE_PORT 8081
#define SERVER_H2_PORT 8082
#define SERVER_REDIS_PORT 6379
#define SERVER_BULK_PORT \
	5201 /* and the next: an iperf3 server opens its socket anew after each test, so two take turns */

#endif
