#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An independent opinion on a summary: medians, ratios, differences and verdicts of `offkube report DIR --json`, computed again from records.jsonl alone.

usage: check_stats.py DIR SUMMARY.json		("-" = standard input)

Point estimates must agree to 1e-9. Bootstrap intervals are resampled here with another generator, so their ends must agree loosely.
Run by tests/unit/test_report_json.c; of use on any run. Exit code 1 with a line per disagreement.
"""
import json
import math
import os
import random
import statistics
import sys

def latency(key):
    return lambda s: s["latency_ns"][key] if s["ok"] and "latency_ns" in s else None


def cpu(s):
    return None if s["cpu"]["discard"] or not s["units"] else s["cpu_per_unit_ns"]


METRICS = {
    "cpu": ("open", cpu, False),
    "cpu_full": ("closed", cpu, False),
    "p50": ("open", latency("p50"), False),
    "p90": ("open", latency("p90"), False),
    "p99": ("open", latency("p99"), False),
    "p999": ("open", latency("p999"), False),
    "rate": ("closed", lambda s: s["rate"] if s["units"] else None, True),
}
# Requests of a slice beyond a percentile, as a share.
BEYOND = {"p50": 0.5, "p90": 0.1, "p99": 0.01, "p999": 0.001}
RESAMPLES = 2000  # of a pool


class Check:
    def __init__(self, folder, summary):
        self.summary = summary
        self.bad = []
        self.n = 0
        self.values = {}  # (workload, load, path, family, axis, x, arm, metric) -> {round: value}
        self.requests = {}  # (workload, load, path, family, axis, x, arm, mode) -> [sent, failed]
        self.took_part = set()  # strategies
        self.scale = {}  # (strategy, nodes, services, endpoints, metric) -> {round: value}
        self.counts = {}  # (workload, load, path, family, axis, x, arm) -> {"ok": sum, ...}
        self.timed = {}  # (workload, load, path, family, axis, x, arm) -> [requests answered in slices that tell latency, such slices]
        self.resampled = {}  # (cell, arm, arm, metric) -> medians of resampled logarithms of ratios
        with open(os.path.join(folder, "records.jsonl"), encoding="utf-8") as f:
            lines = f.read().split("\n")
        records = [json.loads(line) for i, line in enumerate(lines) if line and (i + 1 < len(lines) or line.endswith("}"))]
        self.run = next(r for r in records if r["type"] == "run")
        for r in records:
            if r["type"] in ("sample", "sweep", "scale", "idle", "fault"):
                self.took_part.add(r["strategy"])
            if r["type"] in ("sample", "sweep"):
                self.add(r)
            elif r["type"] == "scale":
                self.add_scale(r)

    def add(self, r):
        cell = (r["workload"], r["load"], r["path"], r["family"], r.get("axis"), r.get("x"), r["arm"])
        counts = self.counts.setdefault(cell, dict.fromkeys(("sent", "ok", "refused", "timeout", "other_error", "wrong"), 0))
        for key in counts:
            counts[key] += r[key]
        requests = self.requests.setdefault(cell + (r["mode"],), [0, 0])
        requests[0] += r["sent"]
        requests[1] += r["refused"] + r["timeout"] + r["other_error"]
        if "latency_ns" in r and r["mode"] == "open":
            timed = self.timed.setdefault(cell, [0, 0])
            timed[0] += r["ok"]
            timed[1] += 1
        for name, (mode, value, _) in METRICS.items():
            # Points of a sweep tell the rate in whatever mode they were measured.
            v = value(r) if r["mode"] == mode or (r["type"] == "sweep" and name == "rate") else None
            if v is not None:
                self.values.setdefault(cell + (name,), {})[r["round"]] = v

    def add_scale(self, r):
        key = (r["strategy"], r["nodes"], r["services"], r["endpoints_per_service"])
        told = {}
        if r.get("from_empty_s") is not None:
            told["from_empty"] = 1e9 * r["from_empty_s"]
        for p in "p50", "p99":
            if (r.get("first_packet_ns") or {}).get(p) is not None:
                told[f"first_packet_{p}"] = r["first_packet_ns"][p]
        for name in "in_force", "apply":
            if r.get(f"{name}_ns"):
                told[name] = statistics.median(r[f"{name}_ns"])
        for name in "process", "kernel":
            if (r.get("memory") or {}).get(f"{name}_kib") is not None:
                told[f"{name}_memory"] = r["memory"][f"{name}_kib"]
        for name, v in told.items():
            self.scale.setdefault(key + (name,), {})[r["round"]] = v

    def equal(self, what, got, want, tolerance=1e-9):
        self.n += 1
        if abs(got - want) > tolerance * max(abs(want), 1e-300):
            self.bad.append(f"{what}: summary says {got!r}, records say {want!r}")

    def same(self, what, got, want):
        self.n += 1
        if got != want:
            self.bad.append(f"{what}: summary says {got!r}, records say {want!r}")

    def interval(self, what, got, samples):
        """The ends within a fifth of the interval's width (or of 1e-9) of our own resampling."""
        rng = random.Random(1)
        n = len(samples)
        medians = sorted(statistics.median(rng.choices(samples, k=n)) for _ in range(4000))
        low, high = medians[int(0.025 * 4000)], medians[int(0.975 * 4000)]
        room = 0.2 * (high - low) + 1e-9 * abs(high)
        self.n += 1
        # Medians of few samples take few values: an end may also be the next sample.
        near = sorted(samples)
        step = max((b - a for a, b in zip(near, near[1:])), default=0)
        for name, mine in (("low", low), ("high", high)):
            if abs(got[name] - mine) > max(room, step):
                self.bad.append(f"{what}.{name}: summary says {got[name]!r}, resampling says {mine!r}")
        if not got["low"] <= got["mid"] <= got["high"]:
            self.bad.append(f"{what}: the ends are not around the middle: {got!r}")

    def failing(self, cell):
        """More than a thousandth of the requests of a mode failed."""
        return any(failed > 0.001 * sent for sent, failed in (self.requests.get(cell + (mode,), [0, 0]) for mode in ("open", "closed")))

    def pairs(self, key, base_key, values=None):
        values = self.values if values is None else values
        mine, base = values.get(key, {}), values.get(base_key, {})
        return [(mine[r], base[r]) for r in sorted(mine) if r in base and base[r] > 0]

    def check_estimate(self, what, est, key, refs, floor):
        """refs: name of the reference -> its key."""
        samples = list(self.values.get(key, {}).values())
        self.same(f"{what} rounds", est["rounds"], len(samples))
        self.equal(f"{what} median", est["median"]["mid"], statistics.median(samples))
        self.interval(f"{what} median", est["median"], samples)
        for name, ref_key in refs.items():
            self.check_against(f"{what} against {name}", est["against"].get(name), key, ref_key, floor)
        self.same(f"{what} against nobody else", set(est["against"]) <= set(refs), True)

    def check_against(self, what, est, key, base_key, floor):
        pairs = self.pairs(key, base_key) if base_key != key else []
        self.same(f"{what} pairs", est["pairs"] if est else 0, len(pairs))
        if not pairs or not est:
            return
        ratios = [a / b for a, b in pairs]
        self.equal(f"{what} ratio", est["ratio"]["mid"], statistics.median(ratios))
        self.interval(f"{what} ratio", est["ratio"], ratios)
        differences = [a - b for a, b in pairs]
        self.equal(f"{what} difference", est["difference"]["mid"], statistics.median(differences), 1e-6)
        higher = METRICS[key[-1]][2]
        low, high = est["ratio"]["low"], est["ratio"]["high"]
        if self.failing(key[:-1]) or self.failing(base_key[:-1]):
            verdict = "requests failed"
        elif len(pairs) < 3:
            verdict = "too few rounds"
        elif low <= 1 + floor and high >= 1 - floor:
            verdict = "tie"
        else:
            verdict = "better" if (low > 1) == higher else "worse"
        self.same(f"{what} verdict", est["verdict"], verdict)

    def check_scale(self):
        incumbent = self.summary["incumbent"]
        seen = set()
        for point in self.summary["scale"]:
            key = (point["strategy"], point["nodes"], point["services"], point["endpoints_per_service"])
            for name, est in point["metrics"].items():
                what = f"scale {key} {name}"
                seen.add(key + (name,))
                samples = list(self.scale.get(key + (name,), {}).values())
                self.same(f"{what} rounds", est["rounds"], len(samples))
                self.equal(f"{what} median", est["median"]["mid"], statistics.median(samples))
                pairs = self.pairs(key + (name,), (incumbent,) + key[1:] + (name,), self.scale) if incumbent != key[0] else []
                self.same(f"{what} pairs", est["against"].get(incumbent, {"pairs": 0})["pairs"], len(pairs))
                if pairs:
                    self.equal(f"{what} ratio", est["against"][incumbent]["ratio"]["mid"], statistics.median(a / b for a, b in pairs))
        self.same("scale metrics", seen, set(self.scale))

    # ---- pools ----

    def few(self, cell, metric):
        """A percentile that in some arm is no more than the slowest request of a slice."""
        for arm in self.run["arms"]:
            ok, slices = self.timed.get(cell + (arm["arm"],), (0, 0))
            if slices and not self.failing(cell + (arm["arm"],)) and ok / slices * BEYOND.get(metric, math.inf) < 1:
                return True
        return False

    def logarithms(self, cells, a, b, metric):
        """Of the ratios of arm a over arm b within rounds, a list per cell that has any."""
        told = {}
        for cell in cells:
            if a == b or self.few(cell, metric) or self.failing(cell + (a,)) or self.failing(cell + (b,)):
                continue
            pairs = self.pairs(cell + (a, metric), cell + (b, metric))
            logs = [math.log(x / y) for x, y in pairs if x > 0]
            if len(pairs) >= 3 and logs:
                told[cell] = logs
        return told

    def pool_interval(self, told, a, b, metric):
        """(low, high, how far from them another resampling may be)."""
        for cell, logs in told.items():
            key = (cell, a, b, metric)
            if key not in self.resampled:
                rng = random.Random(repr(key))
                self.resampled[key] = [statistics.median(rng.choices(logs, k=len(logs))) for _ in range(RESAMPLES)]
        columns = [self.resampled[cell, a, b, metric] for cell in told]
        means = sorted(math.exp(sum(row) / len(columns)) for row in zip(*columns))
        low, high = means[int(0.025 * RESAMPLES)], means[int(0.975 * RESAMPLES)]
        step = 0
        for logs in told.values():
            near = sorted(logs)
            step = max([step] + [y - x for x, y in zip(near, near[1:])])
        return low, high, max(0.2 * (high - low) + 1e-9 * high, high * step / len(told))

    def check_floor(self, what, got, cells, metric):
        floor, room = 0, 1e-9
        for arm in self.run["arms"]:
            told = self.logarithms(cells, arm["arm"], arm["strategy"], metric) if arm["arm"].endswith("(A/A)") else None
            if told:
                low, high, room = self.pool_interval(told, arm["arm"], arm["strategy"], metric)
                floor = max(floor, abs(low - 1), abs(high - 1))
        self.n += 1
        if abs(got - floor) > room:
            self.bad.append(f"{what} floor: summary says {got!r}, resampling says {floor!r}")

    def check_pool(self, what, got, cells, a, b, metric):
        told = self.logarithms(cells, a, b, metric)
        self.same(f"{what} cells", got["cells"] if got else 0, len(told))
        if not told or not got:
            return
        medians = [statistics.median(logs) for logs in told.values()]
        under, over = sum(m < 0 for m in medians), sum(m > 0 for m in medians)
        self.same(f"{what} under, over", (got["under"], got["over"]), (under, over))
        n = under + over
        self.equal(f"{what} sign test", got["sign_test_p"], min(1, sum(math.comb(n, k) for k in range(min(under, over) + 1)) / 2 ** (n - 1)))
        ratio = got["ratio"]
        self.equal(f"{what} ratio", ratio["mid"], math.exp(statistics.fmean(medians)))
        low, high, room = self.pool_interval(told, a, b, metric)
        for name, mine in (("low", low), ("high", high)):
            self.n += 1
            if abs(ratio[name] - mine) > room:
                self.bad.append(f"{what}.{name}: summary says {ratio[name]!r}, resampling says {mine!r}")
        self.same(f"{what} ends are around the middle", ratio["low"] <= ratio["mid"] <= ratio["high"], True)
        self.check_floor(what, got["floor"], cells, metric)
        if ratio["low"] <= 1 + got["floor"] and ratio["high"] >= 1 - got["floor"]:
            verdict = "tie"
        else:
            verdict = "better" if (ratio["low"] > 1) == METRICS[metric][2] else "worse"
        self.same(f"{what} verdict", got["verdict"], verdict)

    def check_places(self, what, pools):
        """Somebody is best alone, or two or more share the place, or there is no contest."""
        for metric in METRICS:
            told = [p["metrics"][metric] for p in pools if metric in p["metrics"]]
            best, tied = sum(m["best"] for m in told), sum(m["shares_first_place"] for m in told)
            self.same(f"{what} {metric}: places make sense", (best, tied) in ((0, 0), (1, 0)) or (best == 0 and tied > 1), True)

    def check_pools(self, refs):
        every = [tuple(c[k] for k in ("workload", "load", "path", "family")) + (None, None) for c in self.summary["cells"]]
        pools = {(p["load"], p["strategy"]): p for p in self.summary["pools"]}
        self.same("pools are told once", len(pools), len(self.summary["pools"]))
        for load in [load["name"] for load in self.run["loads"]] + [None]:
            cells = [c for c in every if load in (None, c[1])]
            for strategy in (s["name"] for s in self.run["strategies"]):
                told = pools.get((load, strategy), {"metrics": {}})["metrics"]
                for metric in METRICS:
                    against = told.get(metric, {"against": {}})["against"]
                    what = f"pool {load} {strategy} {metric}"
                    for ref in refs:
                        self.check_pool(f"{what} against {ref}", against.get(ref), cells, strategy, ref, metric)
                    self.same(f"{what} against nobody else", set(against) <= set(refs), True)
            self.check_places(f"pool {load}", [p for (of, _), p in pools.items() if of == load])

    def check_noise(self, what, cell, noise, cell_key):
        for arm in self.run["arms"]:
            if not arm["arm"].endswith("(A/A)"):
                continue
            for metric in METRICS:
                pairs = self.pairs(cell_key + (arm["arm"], metric), cell_key + (arm["strategy"], metric))
                self.same(f"{what} noise {metric} known", metric in noise, len(pairs) >= 3)
                if len(pairs) >= 3:
                    got = noise[metric]
                    self.equal(f"{what} noise {metric}", got["ratio"]["mid"], statistics.median(a / b for a, b in pairs))
                    self.equal(f"{what} floor {metric}", got["floor"], max(abs(got["ratio"]["low"] - 1), abs(got["ratio"]["high"] - 1)))

    def check(self):
        baseline = next((s["name"] for s in self.run["strategies"] if not s["service_addresses"]), None)
        self.same("baseline", self.summary["baseline"], baseline)
        incumbent = "kube-proxy" if "kube-proxy" in self.took_part else None
        self.same("incumbent", self.summary["incumbent"], incumbent)
        seen = set()
        for cell in self.summary["cells"] + self.summary["sweeps"]:
            cell_key = (cell["workload"], cell["load"], cell["path"], cell["family"], cell.get("axis"), cell.get("x"))
            what = "/".join(str(part) for part in cell_key)
            self.check_noise(what, cell, cell["noise"], cell_key)
            for arm in cell["arms"]:
                key = cell_key + (arm["arm"],)
                seen.add(key)
                for name, want in self.counts[key].items():
                    self.same(f"{what} {arm['arm']} {name}", arm[name], want)
                for metric in METRICS:
                    there = key + (metric,) in self.values
                    self.same(f"{what} {arm['arm']} {metric} there", metric in arm["metrics"], there)
                    if there:
                        floor = cell["noise"].get(metric, {"floor": 0})["floor"]
                        refs = {name: cell_key + (name, metric) for name in (baseline, incumbent) if name}
                        self.check_estimate(f"{what} {arm['arm']} {metric}", arm["metrics"][metric], key + (metric,), refs, floor)
        self.same("cells and arms", seen, set(self.counts))
        self.check_pools([name for name in (baseline, incumbent) if name])
        self.check_scale()


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with sys.stdin if sys.argv[2] == "-" else open(sys.argv[2], encoding="utf-8") as f:
        check = Check(sys.argv[1], json.load(f))
    check.check()
    for line in check.bad:
        print(line)
    print(f"{check.n} numbers compared, {len(check.bad)} disagree")
    return 1 if check.bad or not check.n else 0


if __name__ == "__main__":
    sys.exit(main())
