"""Arrivals at constant rates: what was achieved, how late, at what cost."""

import math

import cases
import process
import settings
import target
import tools
import trial
from report import Section, figure, median, progress, ratios

ARRIVED = ["achieved", "p50", "p99", "max", "cpu", "dropped", "vus", "mib"]


def arrivals(folder):
    """Constant rates: what was achieved, how late, and what an iteration cost."""
    section = Section("Arrivals")
    section.say(
        f"{cases.PLAIN.name} (others: plain GET) at a constant rate on one worker with at most {tools.RATED_VUS:,} "
        f"VUs, medians of {settings.ROUNDS} alternating rounds of {settings.SECONDS} s. *Achieved* is what ended over "
        "the time until the last ended; lateness is start minus due time, which others do not report. × wrk is "
        f"against the CPU of a request of `wrk -t1 -c{settings.USUAL_VUS}` in a closed loop in the same round.")
    for rate in settings.RATES:
        section.lines += [f"### {rate:,}/s", ""]
        with target.Nginx(folder):
            rows = one_rate(section, folder, rate)
        section.table(["", "achieved/s", "late p50 ms", "p99 ms", "max ms", "CPU µs/iteration", "× wrk", "dropped",
                       "VUs", "MiB"], rows)
    return section


def one_rate(section, folder, rate):
    rated = [cases.Case(f"{tool.name}, GET", tool) for tool in tools.peers() if tool.knows_rates]
    chosen = cases.chosen([cases.WRK[0], *cases.kingtide([cases.PLAIN]), *rated])
    results = {case.name: [] for case in chosen}
    for number in range(settings.ROUNDS):
        for case in chosen:
            load = tools.Load(folder, rate=None if case.name == "wrk" else rate)
            name = f"{case.name}, {rate:,}/s, round {number + 1}"
            found = section.attempt(name, lambda: arrived(trial.measure(case.runner, load), load))
            results[case.name].append(found)
            if found:
                progress(f"{name}: {found['cpu']:.1f} µs per iteration, p99 {found['p99']:.2f} ms late")
    rows = []
    for case in chosen[1:]:
        each = {key: [one[key] if one else None for one in results[case.name]] for key in ARRIVED}
        ratio = ratios(each["cpu"], [one["cpu"] if one else None for one in results["wrk"]])
        rows.append([case.name, figure(median(each["achieved"])), figure(median(each["p50"]), 3),
                     figure(median(each["p99"]), 3), figure(median(each["max"]), 2), figure(median(each["cpu"]), 1),
                     figure(median(ratio), 2), figure(median(each["dropped"])), figure(median(each["vus"])),
                     figure(median(each["mib"]), 1)])
    return rows


def arrived(found, load):
    """Returns the figures of arrivals; raises Fault if not every due iteration is accounted for."""
    summary = found.summary or {}
    figures = dict.fromkeys(ARRIVED, math.nan)
    figures.update(cpu=found.cpu_us, mib=found.peak_mib, achieved=found.requests / load.seconds,
                   dropped=summary.get("dropped", math.nan))
    if "scenarios" not in summary:
        return figures
    (account,) = summary["scenarios"].values()
    accounted = account["ended"] + account["interrupted"] + account["dropped"]
    if not account["due"] == accounted == load.rate * load.seconds:
        raise process.Fault(f"{load.rate * load.seconds:,} iterations were due, {account['due']:,} are said to have "
                            f"been, {accounted:,} ended, were interrupted or dropped")
    took = max(load.seconds, summary["metadata"]["duration_ms"] / 1e3)
    figures.update(achieved=account["ended"] / took, cpu=found.cost.cpu / account["ended"] * 1e6,
                   p50=tools.value(summary, "iteration_lateness", "med"),
                   p99=tools.value(summary, "iteration_lateness", "p(99)"),
                   max=tools.value(summary, "iteration_lateness", "max"),
                   dropped=account["dropped"], vus=account["vus_max"])
    return figures
