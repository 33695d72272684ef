"""Start-up: from a process's start to the first byte of its request, and to its end."""

import math

import cases
import process
import settings
import target
import tools
from report import Section, figure, median, progress, ratios, span

# How often a start is repeated: it takes milliseconds.
STARTS = max(11, settings.ROUNDS)


def startup(folder):
    """From the start of a process to the first byte of its request at a socket of our own, and to its end."""
    section = Section("Start-up")
    section.say(
        f"1 VU and 1 iteration with one request ({cases.PLAIN.name}; others: plain GET), medians of {STARTS} "
        "alternating starts. *First byte* is from before the process is made to the first byte of its request at a "
        "socket of the harness. Tools that cannot make a single request are stopped after it.")
    kept = cases.chosen([cases.WRK[0], *cases.kingtide([cases.PLAIN]),
                         *(cases.Case(f"{tool.name}, GET", tool) for tool in tools.peers())])
    results = {case.name: [] for case in kept}
    for number in range(STARTS):
        for case in kept:
            found = section.attempt(f"{case.name}, start {number + 1}", lambda: one_start(case.runner, folder))
            results[case.name].append(found)
    rows = []
    for case in kept:
        first, wall, cpu = ([one[at] if one else None for one in results[case.name]] for at in range(3))
        rows.append([case.name, figure(median(first), 1), span(first),
                     figure(median(ratios(first, [one[0] if one else None for one in results["wrk"]])), 2),
                     figure(median(wall), 1), figure(median(cpu), 1)])
        progress(f"{case.name}: first byte after {figure(median(first), 1)} ms")
    section.table(["", "first byte ms", "from, to", "× wrk", "end ms", "CPU ms"], rows)
    return section


def one_start(runner, folder):
    """Returns milliseconds to the first byte, to the end, and of CPU; the latter NaN if it had to be stopped."""
    ends = isinstance(runner, tools.Kingtide) or runner.ends
    with target.FirstByte() as server:
        load = tools.Load(folder, server.url, vus=1, seconds=1, once=True)
        program = process.Program(runner.command(load), [settings.GENERATOR_CORE])
        try:
            first = (server.first(program.alive) - program.began) * 1e3
            if not ends:
                return first, math.nan, math.nan
            cost = program.finish(30)
        finally:
            program.stop()
        count = runner.read(load, cost.output)
        if count.failed or count.requests != 1:
            raise process.Fault(f"{count.requests} requests, {count.failed} failed, where 1 was to be made")
        return first, cost.wall * 1e3, cost.cpu * 1e3
