/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers and names as people read them: three significant figures, units, signs. Called by everything that prints. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/util.h"
#include "report_int.h"

#define MINUS "\u2212"
#define TIMES_MIN 10

/* Three significant figures, thousands grouped. */
static void digits(char *buf, size_t size, double v)
{
	double a = fabs(v);
	char num[NUM_SIZE];

	if (a >= 1e15) {
		(void)snprintf(buf, size, "%.3g", v);
	} else if (a < 999.5) {
		(void)snprintf(buf, size, "%.*f", a < 9.995 ? 2 : a < 99.95 ? 1 : 0, a);
	} else {
		double step = pow(10, floor(log10(a)) - 2);

		(void)fmt_count(num, (uint64_t)(round(a / step) * step));
		(void)snprintf(buf, size, "%s", num);
	}
}

struct magnitude {
	const char *name;
	double size;
};

static struct magnitude unit_of(enum quantity q, double v)
{
	double a = fabs(v);

	switch (q) {
	case QUANTITY_PER_S:
		return (struct magnitude){ "/s", 1 };
	case QUANTITY_MIB_PER_S:
		return a * GBIT_PER_MIB < 0.9995 ? (struct magnitude){ "Mbit/s", 1e-3 / GBIT_PER_MIB } :
						   (struct magnitude){ "Gbit/s", 1 / GBIT_PER_MIB };
	case QUANTITY_CORES:
		return a < 0.0995 ? (struct magnitude){ "millicores", 1e-3 } : (struct magnitude){ "cores", 1 };
	case QUANTITY_KIB:
		return a < 999.5	? (struct magnitude){ "KiB", 1 } :
		       a < 999.5 * 1024 ? (struct magnitude){ "MiB", 1024 } :
					  (struct magnitude){ "GiB", 1024 * 1024 };
	case QUANTITY_NS:
		break;
	}
	if (a < 999.5)
		return (struct magnitude){ "ns", 1 };
	if (a < 999.5e3)
		return (struct magnitude){ "µs", 1e3 };
	if (a < 999.5e6)
		return (struct magnitude){ "ms", 1e6 };
	return (struct magnitude){ "s", 1e9 };
}

const char *fmt_value(char buf[static NUM_SIZE], enum quantity q, double v)
{
	struct magnitude u = unit_of(q, v);
	char num[32];

	digits(num, sizeof(num), v / u.size);
	(void)snprintf(buf, NUM_SIZE, "%s%s %s", v < 0 ? MINUS : "", num, u.name);
	return buf;
}

/* In the unit of the middle, so that both ends read alike. */
const char *fmt_interval(char buf[static NUM_SIZE], enum quantity q, const struct interval *i)
{
	struct magnitude u = unit_of(q, i->mid);
	char low[24], high[24];

	digits(low, sizeof(low), i->low / u.size);
	digits(high, sizeof(high), i->high / u.size);
	(void)snprintf(buf, NUM_SIZE, "%s%s to %s%s", i->low < 0 ? MINUS : "", low, i->high < 0 ? MINUS : "", high);
	return buf;
}

const char *fmt_diff(char buf[static NUM_SIZE], enum quantity q, double v)
{
	struct magnitude u = unit_of(q, v);
	char num[32];

	digits(num, sizeof(num), v / u.size);
	(void)snprintf(buf, NUM_SIZE, "%s%s %s", v < 0 ? MINUS : "+", num, u.name);
	return buf;
}

static int percent_digits(double percent)
{
	return fabs(percent) < 9.95 ? 1 : 0;
}

const char *fmt_percent(char buf[static NUM_SIZE], double share)
{
	double p = share * 100;

	(void)snprintf(buf, NUM_SIZE, "%s%.*f %%", p < 0 ? MINUS : "", percent_digits(p), fabs(p));
	return buf;
}

static void change(char *buf, size_t size, double ratio)
{
	double p = (ratio - 1) * 100;
	char num[32];

	(void)snprintf(num, sizeof(num), "%.*f", percent_digits(p), fabs(p));
	(void)snprintf(buf, size, "%s%s", str_eq(num, "0.0") ? "" : p < 0 ? MINUS : "+", num);
}

/* A percentage says nothing at ten times and more. */
static void times(char *buf, size_t size, double ratio)
{
	char num[32];

	digits(num, sizeof(num), ratio);
	(void)snprintf(buf, size, "×%s", num);
}

const char *fmt_change(char buf[static NUM_SIZE], double ratio)
{
	char num[48];

	if (ratio >= TIMES_MIN) {
		times(buf, NUM_SIZE, ratio);
		return buf;
	}
	change(num, sizeof(num), ratio);
	(void)snprintf(buf, NUM_SIZE, "%s %%", num);
	return buf;
}

const char *fmt_change_interval(char buf[static NUM_SIZE], const struct interval *ratio)
{
	char low[28], high[28];

	if (ratio->high >= TIMES_MIN) {
		times(low, sizeof(low), ratio->low);
		times(high, sizeof(high), ratio->high);
		(void)snprintf(buf, NUM_SIZE, "%s to %s", low, high);
		return buf;
	}
	change(low, sizeof(low), ratio->low);
	change(high, sizeof(high), ratio->high);
	(void)snprintf(buf, NUM_SIZE, "%s to %s %%", low, high);
	return buf;
}

const char *fmt_count(char buf[static NUM_SIZE], uint64_t n)
{
	char plain[32];
	size_t len, at = 0;

	(void)snprintf(plain, sizeof(plain), "%" PRIu64, n);
	len = strlen(plain);
	for (size_t i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			buf[at++] = ',';
		buf[at++] = plain[i];
	}
	buf[at] = '\0';
	return buf;
}

const char *path_text(const char *path)
{
	return str_eq(path, "same-node")   ? "same node" :
	       str_eq(path, "other-node")  ? "other node" :
	       str_eq(path, "mixed-nodes") ? "mixed nodes" :
					     path;
}

const char *family_text(const char *family)
{
	return str_eq(family, "ipv4") ? "IPv4" : str_eq(family, "ipv6") ? "IPv6" : family;
}

enum quantity quantity_of(const struct report *r, const struct cell *c, enum metric m)
{
	if (m != METRIC_RATE)
		return QUANTITY_NS;
	return r->loads.v[c->load].unit == UNIT_MIB ? QUANTITY_MIB_PER_S : QUANTITY_PER_S;
}

const char *metric_name(const struct report *r, const struct cell *c, enum metric m)
{
	if (r->loads.v[c->load].unit != UNIT_MIB)
		return metrics[m].name;
	return m == METRIC_CPU	    ? "CPU per MiB" :
	       m == METRIC_CPU_FULL ? "CPU per MiB at full load" :
	       m == METRIC_RATE	    ? "throughput" :
				      metrics[m].name;
}

int cell_label(const struct report *r, const struct cell *c, struct strbuf *sb)
{
	if (r->workloads.n > 1)
		strbuf_addf(sb, "%s: ", r->workloads.v[c->workload].name);
	strbuf_addf(sb, "%s, %s, %s", r->loads.v[c->load].name, path_text(c->path), family_text(c->family));
	return sb->failed ? -ENOMEM : 0;
}

size_t text_width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}
