/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records: one JSON object a line, appended and flushed as measured; schema in docs/records.md, version RECORD_SCHEMA. */
#ifndef OFFKUBE_MEASURE_RECORD_H
#define OFFKUBE_MEASURE_RECORD_H

#include <jansson.h>

#include "base/err.h"

#define RECORD_SCHEMA 2

struct record_writer;

int record_writer_open(const char *path, struct record_writer **ret, struct err *e); /* truncates */
void record_writer_close(struct record_writer *w); /* NULL is fine */
/* Adds "schema" and "type", writes a line, drops the reference to `obj` (also on failure; NULL obj = -ENOMEM). */
int record_write(struct record_writer *w, const char *type, json_t *obj, struct err *e);
/* What every run record says of the machine: kernel, CPU model, CPUs, memory, governor, congestion control, virtualisation, load. */
json_t *record_machine(void);

#endif
