/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The CPU meter. Called by eval.c and the benchmarks.
 *
 * Why spinners: /proc/stat on a kernel without precise accounting samples at the tick, and softirq work that begins and ends between two ticks is
 * charged to whoever the tick meets. A spinner that runs whenever nobody else wants the CPU loses exactly what others use, whatever it is
 * called. SCHED_IDLE gives way at once to any other task that wakes; nice 19 makes /proc/stat book the spinners apart, as "nice".
 */
#include "measure/cpu.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/util.h"
#include "cpu_group.h"

#define STEAL_DISCARD_SHARE 0.02
/* Work of one round: long enough that the counter's cache line is not what is measured, short against a slice. */
#define ROUND_STEPS 256

/* Calibrations that count: one may be disturbed by interrupts, and after so many what the CPU did before is no more what it does now. */
#define RECENT 3
#define TURN_SHARE_MIN 0.25 /* of a window that a spinner must have had to tell how fast the CPU is */

struct spin_page {
	_Alignas(64) _Atomic uint64_t rounds;
	_Atomic int ready; /* 0 not yet, 1 spinning, negative: -errno */
};

struct cpu_meter {
	unsigned int n_cpus;
	struct spin_page *pages; /* shared with the spinners */
	pid_t pids[CPU_MAX];
	char *group_dir; /* NULL: the spinners are in the caller's group */
	int group_procs_fd; /* cgroup.procs of it, -1 */
	double recent[CPU_MAX][RECENT]; /* what calibrations found, the latest over the oldest */
	unsigned int n_recent[CPU_MAX];
	double rounds_per_s[CPU_MAX]; /* of an idle CPU: the best of the recent ones; 0 = not calibrated */
};

DEFINE_CLEANUP(struct cpu_meter *, cpu_meter_free);

_Noreturn static void spin(struct spin_page *page, unsigned int cpu, int group_procs_fd, pid_t parent)
{
	const struct sched_param param = { .sched_priority = 0 };
	volatile uint32_t x = 1;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (group_procs_fd >= 0)
		(void)!write(group_procs_fd, "0", 1); /* better in the group, right without */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || sched_setaffinity(0, sizeof(set), &set) < 0 ||
	    sched_setscheduler(0, SCHED_IDLE, &param) < 0 || setpriority(PRIO_PROCESS, 0, 19) < 0) {
		atomic_store(&page->ready, -errno);
		_exit(1);
	}
	if (getppid() != parent)
		_exit(0); /* it died before PDEATHSIG was set */
	atomic_store(&page->ready, 1);
	for (;;) {
		for (int i = 0; i < ROUND_STEPS; i++)
			x = x * 1664525u + 1013904223u;
		atomic_fetch_add_explicit(&page->rounds, 1, memory_order_relaxed);
	}
}

static int start_spinner(struct cpu_meter *m, unsigned int cpu, struct err *e)
{
	const struct timespec pause = { .tv_nsec = 100000 };
	pid_t parent = getpid(), pid = fork();
	int ready;

	if (pid < 0)
		return err_set_errno(e, -errno, NULL, "no process for the CPU meter");
	if (pid == 0)
		spin(&m->pages[cpu], cpu, m->group_procs_fd, parent);
	m->pids[cpu] = pid;
	while ((ready = atomic_load(&m->pages[cpu].ready)) == 0) {
		if (waitpid(pid, NULL, WNOHANG) == pid) {
			m->pids[cpu] = 0;
			return err_set(e, -ECHILD, NULL, "the CPU meter's process on CPU %u has ended", cpu);
		}
		(void)nanosleep(&pause, NULL); /* give way: it may need this CPU */
	}
	if (ready < 0)
		return err_set_errno(e, ready, NULL, "CPU meter cannot pin itself to CPU %u", cpu);
	return 0;
}

int cpu_meter_new(struct cpu_meter **ret, struct err *e)
{
	CLEANUP(cpu_meter_freep) struct cpu_meter *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	cpu_group_clean();
	m->group_procs_fd = -1;
	(void)cpu_group_new(&m->group_dir, &m->group_procs_fd); /* better with it, right without */
	m->n_cpus = MIN((unsigned int)get_nprocs(), (unsigned int)CPU_MAX);
	m->pages = mmap(NULL, m->n_cpus * sizeof(*m->pages), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (m->pages == MAP_FAILED) {
		m->pages = NULL;
		return -errno;
	}
	for (unsigned int i = 0; i < m->n_cpus; i++) {
		int r = start_spinner(m, i, e);

		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(m);
	return 0;
}

void cpu_meter_free(struct cpu_meter *m)
{
	if (!m)
		return;
	for (unsigned int i = 0; i < m->n_cpus; i++) {
		if (m->pids[i] <= 0)
			continue;
		(void)kill(m->pids[i], SIGKILL); /* ours, not reaped yet: the pid is valid */
		(void)waitpid(m->pids[i], NULL, 0);
	}
	if (m->pages)
		(void)munmap(m->pages, m->n_cpus * sizeof(*m->pages));
	cleanup_fd(&m->group_procs_fd);
	cpu_group_free(m->group_dir);
	free(m);
}

void cpu_meter_pause(struct cpu_meter *m)
{
	for (unsigned int i = 0; m && i < m->n_cpus; i++) {
		int status = 0;

		if (m->pids[i] <= 0)
			continue;
		(void)kill(m->pids[i], SIGSTOP); /* ours, not reaped */
		while (waitpid(m->pids[i], &status, WUNTRACED) < 0 && errno == EINTR)
			;
		if (!WIFSTOPPED(status))
			m->pids[i] = 0; /* it had ended */
	}
}

void cpu_meter_resume(struct cpu_meter *m)
{
	for (unsigned int i = 0; m && i < m->n_cpus; i++)
		if (m->pids[i] > 0)
			(void)kill(m->pids[i], SIGCONT); /* as above */
}

void cpu_meter_clean(void)
{
	cpu_group_clean();
}

unsigned int cpu_meter_n_cpus(const struct cpu_meter *m)
{
	return m->n_cpus;
}

static int read_stat(struct cpu_mark *ret, struct err *e)
{
	CLEANUP_FILE FILE *f = fopen("/proc/stat", "re");
	unsigned long long v[8] = {};

	if (!f || fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5],
			 &v[6], &v[7]) != 8)
		return err_set(e, -EIO, "/proc/stat", "cannot be read");
	ret->user = v[0];
	ret->nice = v[1];
	ret->system = v[2];
	ret->idle = v[3];
	ret->iowait = v[4];
	ret->irq = v[5];
	ret->softirq = v[6];
	ret->steal = v[7];
	return 0;
}

/* CPU time of a spinner. The clock of a process can be read by any other. */
static uint64_t spun_ns(const struct cpu_meter *m, unsigned int cpu)
{
	struct timespec ts = {};
	clockid_t clock;

	if (clock_getcpuclockid(m->pids[cpu], &clock) != 0 || clock_gettime(clock, &ts) != 0)
		return 0;
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

int cpu_meter_mark(struct cpu_meter *m, struct cpu_mark *ret, struct err *e)
{
	int r = read_stat(ret, e);

	ret->time_ns = clock_now_ns(&clock_monotonic);
	for (unsigned int i = 0; i < m->n_cpus; i++) {
		ret->spun_ns[i] = spun_ns(m, i);
		ret->rounds[i] = atomic_load_explicit(&m->pages[i].rounds, memory_order_relaxed);
	}
	return r;
}

/* 0 where the spinner had too few turns to tell. */
static double rate_of(const struct cpu_mark *from, const struct cpu_mark *to, unsigned int cpu)
{
	double spun = (double)(to->spun_ns[cpu] - from->spun_ns[cpu]);

	if (to->spun_ns[cpu] <= from->spun_ns[cpu] || spun < TURN_SHARE_MIN * (double)(to->time_ns - from->time_ns))
		return 0;
	return (double)(to->rounds[cpu] - from->rounds[cpu]) * 1e9 / spun;
}

static void take_rate(struct cpu_meter *m, unsigned int cpu, double rate)
{
	if (!(rate > 0))
		return;
	m->recent[cpu][m->n_recent[cpu]++ % RECENT] = rate;
	m->rounds_per_s[cpu] = 0;
	for (unsigned int k = 0; k < RECENT; k++)
		m->rounds_per_s[cpu] = MAX(m->rounds_per_s[cpu], m->recent[cpu][k]);
}

int cpu_meter_calibrate(struct cpu_meter *m, unsigned int window_ms, unsigned int windows, struct err *e)
{
	const struct timespec ts = { .tv_sec = window_ms / 1000, .tv_nsec = (long)(window_ms % 1000) * 1000000 };
	double best[CPU_MAX] = {};

	for (unsigned int w = 0; w < windows; w++) {
		struct cpu_mark from, to;
		int r = cpu_meter_mark(m, &from, e);

		if (r < 0)
			return r;
		(void)nanosleep(&ts, NULL); /* cut short by a signal: the window is measured, not assumed */
		r = cpu_meter_mark(m, &to, e);
		if (r < 0)
			return r;
		for (unsigned int i = 0; i < m->n_cpus; i++)
			best[i] = MAX(best[i], rate_of(&from, &to, i));
	}
	for (unsigned int i = 0; i < m->n_cpus; i++)
		take_rate(m, i, best[i]);
	return 0;
}

double cpu_meter_rounds_per_s(const struct cpu_meter *m, unsigned int cpu)
{
	return m->rounds_per_s[cpu];
}

/* Ticks from one reading to the next. The kernel's idle, iowait and steal may go back a little: that is none. */
static uint64_t ticks(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}

void cpu_meter_use(const struct cpu_meter *m, const struct cpu_mark *from, const struct cpu_mark *to,
		   struct cpu_use *ret)
{
	uint64_t busy = ticks(from->user, to->user) + ticks(from->system, to->system) + ticks(from->irq, to->irq) +
			ticks(from->softirq, to->softirq);
	uint64_t steal = ticks(from->steal, to->steal);
	uint64_t all = busy + ticks(from->nice, to->nice) + ticks(from->idle, to->idle) +
		       ticks(from->iowait, to->iowait) + steal;

	memset(ret, 0, sizeof(*ret));
	ret->seconds = (double)(to->time_ns - from->time_ns) / 1e9;
	for (unsigned int i = 0; i < m->n_cpus && ret->seconds > 0; i++) {
		double got = (double)(to->rounds[i] - from->rounds[i]) / ret->seconds;

		/* A window better than the calibration counts as idle, not as negative use. */
		ret->used_core[i] = m->rounds_per_s[i] > 0 ? MAX(0.0, 1.0 - got / m->rounds_per_s[i]) : 0;
		ret->used_cores += ret->used_core[i];
	}
	if (all > 0) {
		ret->stat_cores = (double)m->n_cpus * (double)busy / (double)all;
		ret->steal_share = (double)steal / (double)all;
	}
	if (ret->seconds > 0) {
		double spun_s = 0;

		for (unsigned int i = 0; i < m->n_cpus; i++)
			spun_s += (double)ticks(from->spun_ns[i], to->spun_ns[i]) / 1e9;
		ret->busy_share = MIN(1.0, MAX(0.0, 1.0 - spun_s / (ret->seconds * m->n_cpus)));
	}
	ret->discard = ret->steal_share > STEAL_DISCARD_SHARE;
	for (unsigned int i = 0; i < m->n_cpus; i++)
		if (!(m->rounds_per_s[i] > 0))
			ret->discard = true; /* what was used there is not known */
}
