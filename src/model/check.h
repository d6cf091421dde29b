/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks that the constructors of all objects share (object.c), private to the room. `path` names the field in the error. */
#ifndef OFFKUBE_MODEL_CHECK_H
#define OFFKUBE_MODEL_CHECK_H

#include "base/err.h"
#include "model/object.h"

int model_check_name(const char *name, const char *path, struct err *e);
/* Each address unset or of the family of its place. */
int model_check_addr_pair(const struct ip_addr addr[IP_FAMILY_MAX], const char *path, struct err *e);
int model_check_proto(uint8_t proto, const char *path, struct err *e);

/* The prefix of length `len` that holds the address. `len` fits the family. */
void model_prefix_of(const struct ip_addr *a, uint8_t len, struct ip_prefix *ret);

#endif
