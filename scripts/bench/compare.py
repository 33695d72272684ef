"""Two binaries against each other, in alternating rounds, so that a noisy machine treats both alike."""

import dataclasses
import os
import sys

import arrivals
import cases
import settings
import target
import tools
import trial
from report import Section, figure, median, progress, ratios

RATE = 10_000


def compare(folder, binaries):
    """The main cases with an old and a new binary."""
    if not 1 <= len(binaries) <= 2:
        sys.exit("compare needs one or two binaries: scripts/bench.sh compare OLD_BINARY [NEW_BINARY]")
    old, new = binaries if len(binaries) == 2 else (binaries[0], settings.KINGTIDE)
    binaries = {"old": old, "new": new}
    section = Section("Old against new", {f"{name}: ": binary for name, binary in binaries.items()})
    section.say(
        f"{settings.USUAL_VUS} VUs on one worker, or {RATE:,} arrivals/s; {settings.ROUNDS} rounds of "
        f"{settings.SECONDS} s, in which old and new take turns at being first. The figures are medians; *new/old* "
        "is the median of the ratios of each round (below 1 the new one is cheaper), with the lowest and the highest. "
        "*Cheaper* says in how many rounds it was: with no difference that is about half of them.")
    rows = []
    with target.Nginx(folder):
        for name, runner, load in works(folder):
            found = {"old": [], "new": []}
            for number in range(settings.ROUNDS):
                for age in ("old", "new") if number % 2 == 0 else ("new", "old"):
                    which = f"{name}, {age}, round {number + 1}"
                    found[age].append(section.attempt(which, lambda: one_run(runner, binaries[age], load)))
            rows.append(row(name, found["old"], found["new"]))
            progress(f"{name}: new/old {rows[-1][3]} ({rows[-1][4]})")
    section.table(["", "old CPU µs", "new CPU µs", "new/old", "from, to", "cheaper", "user new/old", "MiB old",
                   "MiB new"], rows)
    return section


def works(folder):
    """Yields the name, a runner and the load of every case."""
    for case in cases.kingtide():
        if settings.case_matches(case.name):
            yield case.name, case.runner, tools.Load(folder, case.url)
    for case in cases.kingtide([cases.PLAIN]):
        name = f"{case.name}, {RATE:,}/s"
        if settings.case_matches(name):
            yield name, case.runner, tools.Load(folder, case.url, rate=RATE)


def one_run(runner, binary, load):
    """Returns CPU and user µs per request, and memory."""
    runner = dataclasses.replace(runner, binary=binary)
    found = trial.measure(runner, load)
    if load.rate:
        arrivals.arrived(found, load)
    return found.cpu_us, found.user_us, found.peak_mib


def row(name, old, new):
    """Returns a table's row; what stands at one place in both lists was measured in one round."""
    (cpu, user, mib), (new_cpu, new_user, new_mib) = (
        [[one[at] if one else None for one in found] for at in range(3)] for found in (old, new))
    each = ratios(new_cpu, cpu)
    spread = f"{min(each):.3f} to {max(each):.3f}" if each else "–"
    return [name, figure(median(cpu), 2), figure(median(new_cpu), 2), figure(median(each), 3), spread,
            f"{sum(ratio < 1 for ratio in each)} of {len(each)}", figure(median(ratios(new_user, user)), 3),
            figure(median(mib), 1), figure(median(new_mib), 1)]


def usable(binary):
    """Returns whether a binary can be run."""
    return os.path.isfile(binary) and os.access(binary, os.X_OK)
