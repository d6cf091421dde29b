/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The style sheet of the page: light and dark, wide and narrow, on paper. Called by html.c. */
#include "html.h"

static const char style[] =
	":root{color-scheme:light dark;--fg:#1c1f23;--dim:#5c6570;--bg:#fff;--card:#f6f7f9;--line:#d9dde2;--grid:#e3e6ea;--band:#e4e4e4;"
	"--bar:#bfbfbf;--better:#dcebf7;--better-fg:#004a7c;--worse:#fbe3d2;--worse-fg:#8a3b00;--tie:#eceef1;--alarm:#b00020;"
	"--alarm-bg:#fdecee;--warn:#7a5200;--warn-bg:#fff4d6;--link:#0059a8}\n"
	"@media(prefers-color-scheme:dark){:root{--fg:#e4e7eb;--dim:#a0a8b2;--bg:#15181c;--card:#1d2126;--line:#363c44;--grid:#2c323a;"
	"--band:#343b44;--bar:#6b7480;--better:#12324b;--better-fg:#9fd0f5;--worse:#4a2812;--worse-fg:#ffc49a;--tie:#2a2f36;--alarm:#ff8a95;"
	"--alarm-bg:#3d1419;--warn:#f2c66d;--warn-bg:#3a2d0c;--link:#7fbcf5}}\n"
	"*{box-sizing:border-box}html{-webkit-text-size-adjust:100%}\n"
	"body{margin:0 auto;max-width:1320px;padding:1rem 1.25rem 4rem;background:var(--bg);color:var(--fg);"
	"font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif}\n"
	"a{color:var(--link)}h1{font-size:1.3rem;line-height:1.35;font-weight:650;margin:.25rem 0 .75rem;max-width:60rem;text-wrap:pretty}\n"
	"h2{font-size:1.2rem;margin:2.5rem 0 .5rem;padding-top:.75rem;border-top:1px solid var(--line)}h3{font-size:1rem;margin:1.5rem 0 .4rem}\n"
	"p{max-width:60rem;margin:.5rem 0}.run,.brand,.note,figcaption,caption,.dim{color:var(--dim);font-size:.875rem}\n"
	".brand{margin:0;letter-spacing:.02em}nav{font-size:.875rem;margin:1rem 0;display:flex;flex-wrap:wrap;gap:.25rem 1rem}\n"
	".remark{max-width:60rem;margin:.5rem 0;padding:.5rem .75rem;border-left:4px solid var(--line);background:var(--card);border-radius:3px;"
	"font-size:.9375rem}.remark.warning{border-color:var(--warn);background:var(--warn-bg);color:var(--warn)}"
	".remark.alarm{border-color:var(--alarm);background:var(--alarm-bg);color:var(--alarm);font-weight:600}\n"
	".wide{overflow-x:auto;max-width:100%;margin:.5rem 0 1rem}table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.875rem}\n"
	"caption{text-align:left;padding:0 0 .35rem}th,td{padding:.35rem .6rem;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}\n"
	"thead th{font-weight:600;white-space:nowrap}tbody th{font-weight:500;white-space:nowrap}td.num,th.num{text-align:right;white-space:nowrap}"
	"td small{display:block;color:var(--dim);font-size:.78rem;white-space:nowrap}\n"
	"td.better{background:var(--better);color:var(--better-fg)}td.worse{background:var(--worse);color:var(--worse-fg)}td.tie{background:var(--tie)}\n"
	"td.better small,td.worse small{color:inherit;opacity:.85}.map td{border:2px solid var(--bg);white-space:nowrap}\n"
	".bad{color:var(--alarm);font-weight:600}.dot{display:inline-block;width:.7em;height:.7em;border-radius:50%;margin-right:.4em}\n"
	".kind{font-size:.78rem;border:1px solid currentColor;border-radius:3px;padding:0 .25em;margin-left:.3em}\n"
	".figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,480px),1fr));gap:1rem}\n"
	"figure{margin:0;padding:.6rem;background:var(--card);border:1px solid var(--line);border-radius:6px;min-width:0}"
	"figure svg{display:block;width:100%;height:auto}figcaption{margin-top:.4rem}code,pre{font:.85em ui-monospace,Consolas,monospace}\n"
	"pre{overflow-x:auto;background:var(--card);padding:.6rem .75rem;border-radius:4px}details{margin:.5rem 0}summary{cursor:pointer;font-weight:600}\n"
	".tight th,.tight td{padding:.3rem .4rem}.tight thead th{white-space:normal}ul.lines{font-size:.9375rem}.map th small{display:block;color:var(--dim)}\n"
	"ul{padding-left:1.2rem;max-width:60rem}li{margin:.25rem 0}dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem;font-size:.9rem}"
	"dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}\n"
	/* gnuplot's colours, made to follow the page */
	"figure svg rect[fill='#ffffff']{fill:none}figure svg g{color:var(--fg)}figure svg [fill='rgb(68,68,68)']{fill:var(--fg)}"
	"figure svg [stroke='rgb( 68,  68,  68)']{stroke:var(--dim)}figure svg .gridline{stroke:var(--grid)}"
	"figure svg [fill='rgb(228, 228, 228)'],figure svg [fill='rgb(228,228,228)']{fill:var(--band)}"
	"figure svg [fill='rgb(191, 191, 191)'],figure svg [fill='rgb(191,191,191)']{fill:var(--bar)}\n"
	"@media(max-width:640px){body{padding:.75rem .75rem 3rem}h1{font-size:1.2rem}dl{grid-template-columns:1fr}dt{margin-top:.4rem}}\n"
	"@media print{body{max-width:none}figure,table{break-inside:avoid}nav{display:none}}\n";

void html_style(struct strbuf *sb, const struct report *r)
{
	strbuf_add(sb, "<style>\n");
	strbuf_add(sb, style);
	for (size_t s = 0; s < r->strategies.n; s++)
		strbuf_addf(sb, ".s%zu{background:%s}", s, strategy_colour(r, s));
	strbuf_add(sb, "\n</style>\n");
}
