/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets as JSON lines: the input schema of `offkube trace --packets`, docs/trace.md. Called by the command line, the tests' reports and the fuzzer.
 *
 * Every key of a line must be known and must fit the protocol: what is not understood is an error, never ignored.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "packet.h"
#include "trace/trace.h"

enum form {
	FORM_TCP = 1 << 0,
	FORM_UDP = 1 << 1,
	FORM_SCTP = 1 << 2,
	FORM_ICMP = 1 << 3, /* and ICMPv6, without a quoted packet */
	FORM_ICMP_ERROR = 1 << 4, /* with one */
	FORM_RAW = 1 << 5,
};
#define FORM_PORTS (FORM_TCP | FORM_UDP | FORM_SCTP)
#define FORM_FIELDS (FORM_PORTS | FORM_ICMP)
#define FORM_ANY (FORM_FIELDS | FORM_ICMP_ERROR | FORM_RAW)

struct parse {
	json_t *obj;
	const char *prefix; /* "" or "quote." */
	enum form form;
	struct pkt pkt;
	uint8_t payload[TRACE_PACKET_SIZE_MAX];
	struct err *e;
};

/* The one list of keys. */
static const struct key {
	const char *name;
	unsigned int forms;
	bool in_quote; /* has a meaning inside a quoted packet */
} keys[] = {
	{ "origin", FORM_ANY, false },
	{ "after_ms", FORM_ANY, false },
	{ "note", FORM_ANY, false },
	{ "raw", FORM_RAW, true },
	{ "proto", FORM_FIELDS | FORM_ICMP_ERROR, true },
	{ "src", FORM_FIELDS | FORM_ICMP_ERROR, true },
	{ "dst", FORM_FIELDS | FORM_ICMP_ERROR, true },
	{ "sport", FORM_PORTS, true },
	{ "dport", FORM_PORTS, true },
	{ "flags", FORM_TCP, true },
	{ "seq", FORM_TCP, true },
	{ "ack", FORM_TCP, true },
	{ "window", FORM_TCP, true },
	{ "chunk", FORM_SCTP, true },
	{ "vtag", FORM_SCTP, true },
	{ "type", FORM_ICMP | FORM_ICMP_ERROR, true },
	{ "code", FORM_ICMP | FORM_ICMP_ERROR, true },
	{ "rest", FORM_ICMP | FORM_ICMP_ERROR, true },
	{ "quote", FORM_ICMP_ERROR, false },
	{ "ttl", FORM_FIELDS, true },
	{ "id", FORM_FIELDS, true },
	{ "tos", FORM_FIELDS, true },
	{ "df", FORM_FIELDS, true },
	{ "payload", FORM_TCP | FORM_UDP | FORM_ICMP, true },
	{ "payload_hex", FORM_FIELDS, true },
};

static int fail(const struct parse *c, const char *key, const char *text)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s%s", c->prefix, key);
	return err_set(c->e, -EINVAL, path, "%s", text);
}

static int check_keys(const struct parse *c)
{
	const char *name;
	json_t *value;

	json_object_foreach(c->obj, name, value)
	{
		const struct key *k = NULL;

		for (size_t i = 0; i < ARRAY_LEN(keys) && !k; i++)
			if (strcmp(keys[i].name, name) == 0)
				k = &keys[i];
		if (!k)
			return err_set(c->e, -EINVAL, c->prefix[0] ? "quote" : NULL, "unknown key \"%.64s\"", name);
		if (!(k->forms & c->form) || (c->prefix[0] && !k->in_quote))
			return fail(c, name,
				    c->form == FORM_RAW ? "does not go with raw" :
							  "has no meaning for this kind of packet");
	}
	return 0;
}

static int get_int(const struct parse *c, const char *key, int64_t min, int64_t max, int64_t *ret)
{
	json_t *v = json_object_get(c->obj, key);
	char text[96];

	if (!v)
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > max) {
		(void)snprintf(text, sizeof(text), "must be a whole number from %lld to %lld", (long long)min,
			       (long long)max);
		return fail(c, key, text);
	}
	*ret = json_integer_value(v);
	return 1;
}

static int get_str(const struct parse *c, const char *key, const char **ret)
{
	json_t *v = json_object_get(c->obj, key);

	if (!v)
		return 0;
	if (!json_is_string(v))
		return fail(c, key, "must be a string");
	*ret = json_string_value(v);
	return 1;
}

static int get_addr(const struct parse *c, const char *key, struct ip_addr *ret)
{
	const char *text = NULL;
	int r;

	r = get_str(c, key, &text);
	if (r < 0)
		return r;
	if (!r)
		return fail(c, key, "is missing");
	if (ip_addr_parse(text, ret) < 0)
		return fail(c, key, "must be an IP address");
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static int parse_hex(const struct parse *c, const char *key, const char *text, uint8_t *buf, size_t room,
		     size_t *ret_size)
{
	size_t len = strlen(text);

	if (len % 2)
		return fail(c, key, "must be pairs of hexadecimal digits");
	if (len / 2 > room)
		return fail(c, key, "is too long");
	for (size_t i = 0; i < len / 2; i++) {
		int high = hex_digit(text[2 * i]);
		int low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return fail(c, key, "must be pairs of hexadecimal digits");
		buf[i] = (uint8_t)(high << 4 | low);
	}
	*ret_size = len / 2;
	return 0;
}

/* What the line describes, from "raw", "proto" and "quote". */
static int find_form(struct parse *c)
{
	const char *proto = NULL;
	int r;

	if (json_object_get(c->obj, "raw")) {
		c->form = FORM_RAW;
		return 0;
	}
	r = get_str(c, "proto", &proto);
	if (r < 0)
		return r;
	if (!r)
		return fail(c, "proto", "is missing");
	if (ip_proto_parse(proto, &c->pkt.t.proto) < 0)
		return fail(c, "proto", "must be tcp, udp, sctp, icmp or icmpv6");
	switch (c->pkt.t.proto) {
	case IPPROTO_TCP:
		c->form = FORM_TCP;
		break;
	case IPPROTO_UDP:
		c->form = FORM_UDP;
		break;
	case IPPROTO_SCTP:
		c->form = FORM_SCTP;
		break;
	default:
		c->form = json_object_get(c->obj, "quote") ? FORM_ICMP_ERROR : FORM_ICMP;
		break;
	}
	return 0;
}

static int parse_flags(struct parse *c)
{
	static const char letters[] = "FSRPA"; /* bit 0, 1, ... of the header */
	const char *text = NULL;
	int r;

	r = get_str(c, "flags", &text);
	if (r <= 0)
		return r;
	c->pkt.tcp_flags = 0;
	for (; *text; text++) {
		const char *at = strchr(letters, *text);

		if (!at)
			return fail(c, "flags", "must be letters out of F, S, R, P, A");
		c->pkt.tcp_flags |= (uint8_t)(1 << (at - letters));
	}
	return 0;
}

static int parse_tcp(struct parse *c)
{
	int64_t seq, ack, window = c->pkt.tcp_window;
	int r;

	r = parse_flags(c);
	if (r < 0)
		return r;
	seq = c->pkt.tcp_flags & TCP_FLAG_SYN ? 0 : 1;
	ack = c->pkt.tcp_flags & TCP_FLAG_ACK ? 1 : 0;
	if ((r = get_int(c, "seq", 0, UINT32_MAX, &seq)) < 0 || (r = get_int(c, "ack", 0, UINT32_MAX, &ack)) < 0 ||
	    (r = get_int(c, "window", 0, UINT16_MAX, &window)) < 0)
		return r;
	c->pkt.tcp_seq = (uint32_t)seq;
	c->pkt.tcp_ack = (uint32_t)ack;
	c->pkt.tcp_window = (uint16_t)window;
	return 0;
}

static int parse_sctp(struct parse *c)
{
	size_t size = sizeof(c->payload);
	const char *chunk = "init";
	int64_t vtag;
	int r;

	r = get_str(c, "chunk", &chunk);
	if (r < 0)
		return r;
	if (r > 0 && json_object_get(c->obj, "payload_hex"))
		return fail(c, "chunk", "does not go with payload_hex");
	if (trace_sctp_chunk(chunk, c->payload, &size) < 0)
		return fail(
			c, "chunk",
			"must be init, init-ack, cookie-echo, cookie-ack, data, sack, heartbeat, heartbeat-ack, abort, "
			"shutdown, shutdown-ack or shutdown-complete");
	/* The server is taken to be on the lower port. */
	vtag = c->pkt.t.sport < c->pkt.t.dport ? TRACE_SCTP_TAG_CLIENT : TRACE_SCTP_TAG_SERVER;
	if (strcmp(chunk, "init") == 0)
		vtag = 0;
	r = get_int(c, "vtag", 0, UINT32_MAX, &vtag);
	if (r < 0)
		return r;
	c->pkt.sctp_vtag = (uint32_t)vtag;
	c->pkt.payload_size = size;
	return 0;
}

static int parse_icmp(struct parse *c)
{
	bool v6 = c->pkt.t.proto == IPPROTO_ICMPV6;
	int64_t type = v6 ? 128 : 8; /* echo request */
	int64_t code = 0, rest = 0x00010001; /* id 1, sequence number 1 */
	int r;

	if (c->form == FORM_ICMP_ERROR) {
		type = v6 ? 1 : 3; /* destination unreachable, port */
		code = v6 ? 4 : 3;
		rest = 0;
	}
	if ((r = get_int(c, "type", 0, 255, &type)) < 0 || (r = get_int(c, "code", 0, 255, &code)) < 0 ||
	    (r = get_int(c, "rest", 0, UINT32_MAX, &rest)) < 0)
		return r;
	c->pkt.icmp_type = (uint8_t)type;
	c->pkt.icmp_code = (uint8_t)code;
	c->pkt.icmp_rest = (uint32_t)rest;
	return 0;
}

static int parse_ports(struct parse *c)
{
	int64_t sport = -1, dport = -1;
	int r;

	if ((r = get_int(c, "sport", 0, UINT16_MAX, &sport)) < 0 ||
	    (r = get_int(c, "dport", 0, UINT16_MAX, &dport)) < 0)
		return r;
	if (sport < 0 || dport < 0)
		return fail(c, sport < 0 ? "sport" : "dport", "is missing");
	c->pkt.t.sport = (uint16_t)sport;
	c->pkt.t.dport = (uint16_t)dport;
	return 0;
}

static int parse_ip(struct parse *c)
{
	bool v6 = c->pkt.t.src.fam == AF_INET6;
	int64_t ttl = c->pkt.ttl, id = c->pkt.ip_id, tos = 0;
	json_t *df = json_object_get(c->obj, "df");
	int r;

	if (c->pkt.t.src.fam != c->pkt.t.dst.fam)
		return fail(c, "dst", "is of another address family than src");
	if (c->form & (FORM_ICMP | FORM_ICMP_ERROR) && v6 != (c->pkt.t.proto == IPPROTO_ICMPV6))
		return fail(c, "proto", "is of another address family than src");
	if (v6 && (json_object_get(c->obj, "id") || df))
		return fail(c, df ? "df" : "id", "is for IPv4 only");
	/* A packet with TTL 1 tells about routing, not about the target. */
	if ((r = get_int(c, "ttl", 2, 255, &ttl)) < 0 || (r = get_int(c, "id", 1, UINT16_MAX, &id)) < 0 ||
	    (r = get_int(c, "tos", 0, 255, &tos)) < 0)
		return r;
	if (df && !json_is_boolean(df))
		return fail(c, "df", "must be true or false");
	c->pkt.ttl = (uint8_t)ttl;
	c->pkt.ip_id = (uint16_t)id;
	c->pkt.dscp_ecn = (uint8_t)tos;
	c->pkt.dont_fragment = json_is_true(df);
	return 0;
}

static int parse_payload(struct parse *c)
{
	const char *text = NULL, *hex = NULL;
	int r;

	if ((r = get_str(c, "payload", &text)) < 0 || (r = get_str(c, "payload_hex", &hex)) < 0)
		return r;
	if (text && hex)
		return fail(c, "payload", "does not go with payload_hex");
	if (hex) {
		r = parse_hex(c, "payload_hex", hex, c->payload, sizeof(c->payload), &c->pkt.payload_size);
		if (r < 0)
			return r;
	} else if (text) {
		if (strlen(text) > sizeof(c->payload))
			return fail(c, "payload", "is too long");
		c->pkt.payload_size = strlen(text);
		memcpy(c->payload, text, c->pkt.payload_size);
	}
	c->pkt.payload = c->payload;
	return 0;
}

static int parse_fields(struct parse *c, struct trace_packet *ret)
{
	int r;

	if ((r = get_addr(c, "src", &c->pkt.t.src)) < 0 || (r = get_addr(c, "dst", &c->pkt.t.dst)) < 0)
		return r;
	if (c->form & FORM_PORTS && (r = parse_ports(c)) < 0)
		return r;
	if (c->form == FORM_TCP && (r = parse_tcp(c)) < 0)
		return r;
	if (c->form == FORM_SCTP && (r = parse_sctp(c)) < 0)
		return r;
	if (c->form == FORM_ICMP && (r = parse_icmp(c)) < 0)
		return r;
	if ((r = parse_ip(c)) < 0 || (r = parse_payload(c)) < 0)
		return r;
	if (packet_build(&c->pkt, ret) < 0)
		return fail(c, "payload", "makes the packet longer than 1500 bytes");
	return 0;
}

static int parse_raw(const struct parse *c, struct trace_packet *ret)
{
	const char *hex = NULL;
	int r;

	r = get_str(c, "raw", &hex);
	if (r < 0)
		return r;
	r = parse_hex(c, "raw", hex, ret->buf, sizeof(ret->buf), &ret->size);
	if (r < 0)
		return r;
	return ret->size ? 0 : fail(c, "raw", "is empty");
}

/* The packet that an ICMP error quotes: fields or raw, nothing about how it came. */
static int parse_quote(const struct parse *outer, struct trace_packet *ret)
{
	struct parse c = { .obj = json_object_get(outer->obj, "quote"), .prefix = "quote.", .e = outer->e };
	int r;

	if (!json_is_object(c.obj))
		return fail(outer, "quote", "must be an object");
	packet_fill_defaults(&c.pkt);
	if ((r = find_form(&c)) < 0 || (r = check_keys(&c)) < 0)
		return r;
	return c.form == FORM_RAW ? parse_raw(&c, ret) : parse_fields(&c, ret);
}

static int parse_icmp_error(struct parse *c, struct trace_packet *ret)
{
	struct trace_packet quoted;
	struct pkt p;
	size_t size = sizeof(ret->buf);
	int r;

	if ((r = parse_icmp(c)) < 0 || (r = get_addr(c, "src", &c->pkt.t.src)) < 0 || (r = parse_quote(c, &quoted)) < 0)
		return r;
	r = pkt_parse(quoted.buf, quoted.size, &p);
	if (r < 0 && r != -EPROTONOSUPPORT)
		return fail(c, "quote", "is no IP packet");
	if (json_object_get(c->obj, "dst")) {
		r = get_addr(c, "dst", &c->pkt.t.dst);
		if (r < 0)
			return r;
		if (!ip_addr_eq(&c->pkt.t.dst, &p.t.src))
			return fail(c, "dst", "must be the source of the quoted packet");
	}
	c->pkt.t.dst = p.t.src;
	if (c->pkt.t.src.fam != p.t.src.fam || (p.t.src.fam == AF_INET6) != (c->pkt.t.proto == IPPROTO_ICMPV6))
		return fail(c, "quote", "is of another address family");
	r = pkt_build_icmp_error(&c->pkt.t.src, c->pkt.icmp_type, c->pkt.icmp_code, c->pkt.icmp_rest, quoted.buf,
				 quoted.size, ret->buf, &size);
	if (r < 0)
		return fail(c, "quote", "cannot be put into an ICMP error");
	ret->size = size;
	trace_packet_fix_id(ret);
	return 0;
}

static int parse_origin(const struct parse *c, const struct snapshot *s, const struct node *node,
			struct trace_packet *ret)
{
	const char *name = NULL, *note = NULL;
	int64_t after_ms = 0;
	struct pkt p;
	int r;

	if ((r = get_str(c, "note", &note)) < 0 || (r = get_int(c, "after_ms", 0, TRACE_AFTER_MS_MAX, &after_ms)) < 0 ||
	    (r = get_str(c, "origin", &name)) < 0)
		return r;
	ret->after_ms = (uint32_t)after_ms;
	for (int i = 0; name && i < TRACE_FROM_MAX; i++) {
		if (strcmp(name, trace_origin_name[i]) == 0) {
			ret->origin = (enum trace_origin)i;
			return 0;
		}
	}
	if (name)
		return fail(c, "origin", "must be pod, node or outside");
	r = pkt_parse(ret->buf, ret->size, &p);
	if (r < 0 && r != -EPROTONOSUPPORT)
		ret->origin = TRACE_FROM_OUTSIDE; /* no source to be read */
	else
		ret->origin = trace_origin_of(s, node, &p.t.src);
	return 0;
}

int trace_packet_parse_json(const char *line, size_t size, const struct snapshot *s, const struct node *node,
			    struct trace_packet *ret, struct err *e)
{
	json_auto_t *root = NULL;
	struct trace_packet made = {};
	struct parse c = { .prefix = "", .e = e };
	json_error_t je;
	int r;

	if (size > TRACE_LINE_SIZE_MAX)
		return err_set(e, -EINVAL, NULL, "line of more than %d bytes", TRACE_LINE_SIZE_MAX);
	root = json_loadb(line, size, JSON_REJECT_DUPLICATES, &je);
	if (!root)
		return err_set(e, -EINVAL, NULL, "no JSON object: %s", je.text);
	if (!json_is_object(root))
		return err_set(e, -EINVAL, NULL, "must be one JSON object");
	c.obj = root;
	packet_fill_defaults(&c.pkt);
	if ((r = find_form(&c)) < 0 || (r = check_keys(&c)) < 0)
		return r;
	if (c.form == FORM_RAW)
		r = parse_raw(&c, &made);
	else if (c.form == FORM_ICMP_ERROR)
		r = parse_icmp_error(&c, &made);
	else
		r = parse_fields(&c, &made);
	if (r < 0)
		return r;
	r = parse_origin(&c, s, node, &made);
	if (r < 0)
		return r;
	*ret = made;
	return 0;
}

int trace_packet_print_json(const struct trace_packet *p, FILE *f)
{
	char note[256] = "not an IP packet that can be read";
	struct pkt fields;

	if (pkt_parse(p->buf, p->size, &fields) == 0)
		(void)pkt_format(&fields, note, sizeof(note));
	fprintf(f, "{\"origin\":\"%s\",", trace_origin_name[p->origin]);
	if (p->after_ms)
		fprintf(f, "\"after_ms\":%u,", p->after_ms);
	fputs("\"raw\":\"", f);
	for (size_t i = 0; i < p->size; i++)
		fprintf(f, "%02x", p->buf[i]);
	fprintf(f, "\",\"note\":\"%s\"}\n", note);
	return ferror(f) ? -EIO : 0;
}
