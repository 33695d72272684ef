"""Instructions per request, counted by valgrind: a figure that no neighbour's load disturbs."""

import re

import cases
import process
import settings
import target
import tools
from process import Fault
from report import Section, figure, median, progress, span

# Two runs, so that start and end fall out of the difference.
FEW, MANY = 2_000, 12_000
# Work under valgrind takes about fifty times as long.
LIMIT = 600
# How a run's answers fall together moves the figure by up to a percent.
TIMES = min(3, settings.ROUNDS)
WORKS = ["GET + check", "POST JSON"]


def instructions(folder, binaries=()):
    """Instructions per request of the binaries, or of $KINGTIDE."""
    binaries = binaries or [settings.KINGTIDE]
    section = Section("Instructions per request", {f"({at + 1}) " if len(binaries) > 1 else "": binary
                                                  for at, binary in enumerate(binaries)})
    section.say(
        f"Instructions of the process (callgrind's Ir; the kernel's are not in it), {settings.USUAL_VUS} VUs on one "
        f"worker: a run of {MANY:,} iterations less one of {FEW:,}, over the {MANY - FEW:,} between; medians of "
        f"{TIMES}."
        + (" The ratio is to the first binary." if len(binaries) > 1 else ""))
    rows = []
    with target.Nginx(folder):
        for work in cases.WORKS:
            if work.name not in WORKS:
                continue
            for language in settings.LANGUAGES:
                name = f"{work.name}, {language}"
                if settings.case_matches(name):
                    rows += of_binaries(section, folder, name, work, language, binaries)
    section.table(["", "instructions/request", "from, to", *(["× first"] if len(binaries) > 1 else []),
                   "start and end, M"], rows)
    return section


def of_binaries(section, folder, name, work, language, binaries):
    """Returns a row for each binary that could be counted."""
    found = [[] for _ in binaries]
    for number in range(TIMES):
        for at, binary in enumerate(binaries):
            runner = tools.Kingtide(work.script, language, binary)
            label = f"{name} ({at + 1}), time {number + 1}"
            one = section.attempt(label, lambda: difference(runner, tools.Load(folder, work.url)))
            if one:
                found[at].append(one)
                progress(f"{label}: {one[0]:,.0f} instructions per request")
    rows = []
    for at, figures in enumerate(found):
        each, rest = ([one[column] for one in figures] for column in range(2))
        ratio = [figure(median(each) / median([one[0] for one in found[0]]), 4)] if len(binaries) > 1 else []
        rows.append([f"{name} ({at + 1})" if len(binaries) > 1 else name, figure(median(each)), span(each, 0), *ratio,
                     figure(median(rest) / 1e6, 1)])
    return rows


def difference(runner, load):
    """Returns the instructions of one more request, and those of none."""
    few, many = counted(runner, load, FEW), counted(runner, load, MANY)
    each = (many - few) / (MANY - FEW)
    if each <= 0:
        raise Fault(f"{MANY:,} iterations took {many:,} instructions, {FEW:,} took {few:,}")
    return each, few - each * FEW


def counted(runner, load, iterations):
    """Returns the instructions of a run of so many iterations."""
    program = runner.with_flags(load, ["-u", str(settings.USUAL_VUS), "-i", str(iterations), "--seed", "1"])
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={load.folder}/callgrind", *program]
    with target.Status() as status:
        before = status.settled()[2]
        cost = process.run(command, [settings.GENERATOR_CORE], LIMIT)
        served = status.settled()[2] - before
    count = runner.read(load, cost.output)
    if count.failed or not count.requests == served == iterations:
        raise Fault(f"{iterations:,} requests were to be made; the tool counted {count.requests:,} with {count.failed} "
                    f"failed, the server {served:,}")
    found = re.search(r"Collected : (\d+)", cost.output)
    if not found:
        raise Fault(f"valgrind counted nothing: {cost.output.strip()[-200:]!r}")
    return int(found.group(1))
