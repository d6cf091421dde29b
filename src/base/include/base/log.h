/* SPDX-License-Identifier: GPL-2.0-or-later */
/* key=value lines on standard error. Rooms return errors; app/ logs them, once. Debug is free anywhere. */
#ifndef OFFKUBE_BASE_LOG_H
#define OFFKUBE_BASE_LOG_H

#include "base/err.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/*
 * Process-wide threshold, set once by main; default WARN. (The one global of base/: a logger is not state of the
 * model.)
 */
void log_set_level(enum log_level level);
/* Keeps errno. */
void log_at(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...) log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
/* "error: <path>: <text>" for a person. */
void log_err(const struct err *e);

#endif
