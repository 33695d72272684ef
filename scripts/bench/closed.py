"""Requests in a closed loop: every case at every number of VUs, and two workers against one."""

import math

import cases
import settings
import target
import tools
import trial
from report import Section, figure, median, progress, ratios, span

# Seconds by which a run is longer for each connection that has to be opened first: both sides shake
# hands, on one core each, and more at once than the system's backlog has to try again after a second.
OPENING, SECURE_OPENING = 0.0003, 0.001


def closed(folder):
    """Every case at every number of VUs, beside wrk with as many connections."""
    section = Section("Closed loop")
    section.say(
        f"Medians of {settings.ROUNDS} alternating rounds of {settings.SECONDS} s, and longer for many connections "
        f"(by {OPENING * 1e3:g} ms for each, {SECURE_OPENING * 1e3:g} ms with TLS); one worker on one core, the target "
        "on another. CPU is the whole process's (user + system) over its requests, start-up included. × wrk is "
        "against `wrk -t1` with as many connections, *alike* against wrk doing the same (checking, over HTTPS), each "
        "the median of the ratios of one round. *Once open* and requests per second are of the second half of a run, "
        "and only there if all connections were open by then. Memory is the most that was seen.")
    for vus in settings.LOADS:
        with target.Nginx(folder):
            rows = one_load(section, folder, vus)
        section.lines += [f"### {vus:,} VU{'s' if vus > 1 else ''}", ""]
        section.table(["", "CPU µs/request", "from, to", "user µs", "× wrk", "alike", "once open",
                       "× wrk", "requests/s", "MiB"], rows)
    return section


def one_load(section, folder, vus):
    able = [case for case in cases.others() if vus <= (case.runner.most_vus or vus)]
    chosen = cases.chosen(cases.WRK + cases.kingtide() + able)
    results = {case.name: [] for case in chosen}
    for number in range(settings.ROUNDS):
        for case in chosen:
            opening = math.floor(vus * (SECURE_OPENING if case.url == target.SECURE_URL else OPENING))
            load = tools.Load(folder, case.url, vus, settings.SECONDS + opening, opening=opening)
            name = f"{case.name}, {vus:,} VUs, round {number + 1}"
            found = section.attempt(name, lambda: trial.measure(case.runner, load))
            results[case.name].append(found)
            if found:
                progress(f"{name}: {found.cpu_us:.1f} µs per request")
    return [closed_row(case, results) for case in chosen]


def column(found, name):
    """Returns one figure of each round; None where the round was not right."""
    return [getattr(one, name) if one else None for one in found]


def closed_row(case, results):
    mine = results[case.name]
    cpu, once_open = column(mine, "cpu_us"), column(mine, "once_open_us")
    against_wrk = ratios(cpu, column(results["wrk"], "cpu_us"))
    alike = ratios(cpu, column(results[case.alike], "cpu_us")) if case.alike else []
    return [case.name, figure(median(cpu), 1), span(cpu), figure(median(column(mine, "user_us")), 1),
            figure(median(against_wrk), 2), figure(median(alike), 2),
            figure(median(once_open), 1), figure(median(ratios(once_open, column(results["wrk"], "once_open_us"))), 2),
            figure(median(column(mine, "rate_once_open"))),
            figure(median(column(mine, "peak_mib")), 1)]


def workers(folder):
    """Two workers against one, at the same number of VUs."""
    one, two, targets = worker_cores()
    section = Section("Two workers against one")
    shared = set(two) & set(targets)
    section.say(
        f"{cases.PLAIN.name}, {settings.USUAL_VUS} VUs, medians of {settings.ROUNDS} alternating rounds of "
        f"{settings.SECONDS} s. One worker on core {one[0]}, two on {two[0]} and {two[1]}, the target's "
        f"{len(targets)} on {', '.join(map(str, targets))}."
        + (" **With 2 cores the target shares one with the second worker: requests per second say little here, CPU "
           "per request still does. 3 cores are needed to be fair.**" if shared else ""))
    with target.Nginx(folder, targets):
        rows = [row for language in settings.LANGUAGES for row in one_language(section, folder, language, one, two)]
    section.table(["workers", "CPU µs/request", "from, to", "× one", "requests/s", "× one", "MiB"], rows)
    return section


def one_language(section, folder, language, one, two):
    runs = {count: [] for count in (1, 2)}
    for number in range(settings.ROUNDS):
        for count, cores in ((1, one), (2, two)):
            runner = tools.Kingtide(cases.PLAIN.script, language, workers=count)
            name = f"{language}, {count} worker{'s' if count > 1 else ''}, round {number + 1}"
            found = section.attempt(name, lambda: trial.measure(runner, tools.Load(folder), cores))
            runs[count].append(found)
            if found:
                progress(f"{name}: {found.cpu_us:.1f} µs per request")
    rows = []
    for count in (1, 2):
        cpu, rate = (column(runs[count], name) for name in ("cpu_us", "rate_once_open"))
        rows.append([f"{language}, {count}", figure(median(cpu), 1), span(cpu),
                     figure(median(ratios(cpu, column(runs[1], "cpu_us"))), 2), figure(median(rate)),
                     figure(median(ratios(rate, column(runs[1], "rate_once_open"))), 2),
                     figure(median(column(runs[count], "peak_mib")), 1)])
    return rows


def worker_cores():
    """Returns the cores of one worker, of two, and of the target: a core each as far as they go."""
    spare = [core for core in settings.CORES if core not in (settings.GENERATOR_CORE, settings.TARGET_CORE)]
    one = [settings.GENERATOR_CORE]
    two = one + (spare[:1] or [settings.TARGET_CORE])
    # From four cores on the target has two as well, so that it does not become the limit.
    return one, two, [settings.TARGET_CORE, *spare[1:2]]
