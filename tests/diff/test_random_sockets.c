/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sockets in a lab under strategy nft, netfilter (sockrun.h). */
#include "sockrun.h"

int main(int argc, char **argv)
{
	return sockrun_main(argc, argv, "random_sockets", "nft");
}
