/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPU accounting that counts everything (EVALUATION.md rule 1): a spinner of the lowest priority (SCHED_IDLE) is pinned to each CPU and
 * counts the rounds that it obtains. CPU used = capacity less what the spinners got; capacity is calibrated while the machine is idle. User, system, softirq
 * and irq time are all in it, whoever runs. /proc/stat is read beside it as a cross-check, and for steal.
 *
 * How fast an idle CPU is changes by some percent within minutes (its clock, and neighbours that share the core), and what is missing would count as
 * used: so calibrate every few seconds. Other tasks do not disturb a calibration: rounds are counted against the CPU time that the scheduler gave the spinner.
 * Interrupts do, they are in that time. How busy others were in a window is told by that time too (busy_share): it needs no calibration, but sees no
 * interrupts.
 */
#ifndef OFFKUBE_MEASURE_CPU_H
#define OFFKUBE_MEASURE_CPU_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define CPU_MAX 64

struct cpu_meter; /* owns one spinner process per CPU; they die with the caller */

int cpu_meter_new(struct cpu_meter **ret, struct err *e);
void cpu_meter_free(struct cpu_meter *m);
/* What meters of killed processes left (empty scheduler groups); live ones are not touched. */
void cpu_meter_clean(void);
unsigned int cpu_meter_n_cpus(const struct cpu_meter *m);

/* Finds the rounds per second of an idle CPU: the best of several windows of window_ms each, and of the two calibrations before. (A window that
 * interrupts disturb counts too little, never too much.) A CPU that others do not leave alone keeps what it had. */
int cpu_meter_calibrate(struct cpu_meter *m, unsigned int window_ms, unsigned int windows, struct err *e);

/* The spinners stand still, as if there were no meter, until resumed: for figures that are not of CPU. Idle CPUs idle meanwhile, and marks say nothing. NULL is
 * fine. */
void cpu_meter_pause(struct cpu_meter *m);
void cpu_meter_resume(struct cpu_meter *m);

/* Of an idle CPU, 0 before calibration: for the record. */
double cpu_meter_rounds_per_s(const struct cpu_meter *m, unsigned int cpu);

struct cpu_mark {
	uint64_t time_ns; /* CLOCK_MONOTONIC */
	uint64_t rounds[CPU_MAX];
	uint64_t spun_ns[CPU_MAX]; /* CPU time of the spinners, by the scheduler's clock */
	uint64_t user, nice, system, idle, iowait, irq, softirq, steal; /* /proc/stat ticks, all CPUs */
};
int cpu_meter_mark(struct cpu_meter *m, struct cpu_mark *ret, struct err *e);

struct cpu_use {
	double seconds; /* length of the window */
	double used_cores; /* by spinners; 0 .. n_cpus */
	double used_core[CPU_MAX];
	double stat_cores; /* by /proc/stat, without nice time: that is where the spinners are accounted, but also others' with a nice value */
	double busy_share; /* 0..1 of capacity: what the scheduler gave to others than the spinners, nice or not */
	double steal_share; /* 0..1 of capacity */
	bool discard; /* steal over 2 %, or a CPU whose spinner got no turn in any calibration */
};
void cpu_meter_use(const struct cpu_meter *m, const struct cpu_mark *from, const struct cpu_mark *to,
		   struct cpu_use *ret);

#endif
