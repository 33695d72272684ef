"""Medians, tables, and the dated file that results are added to."""

import datetime
import hashlib
import math
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys

import settings
import tools


def progress(text):
    print(text, file=sys.stderr, flush=True)


def good(figures):
    """Returns the figures that are there: neither None nor NaN."""
    return [figure for figure in figures if figure is not None and not math.isnan(figure)]


def median(figures):
    """Returns the median of those that are there; NaN if none is."""
    there = good(figures)
    return statistics.median(there) if there else math.nan


def ratios(mine, its):
    """Returns the ratios of the rounds in which both are there."""
    return [a / b for a, b in zip(mine, its) if good([a, b]) == [a, b] and b]


def figure(number, digits=0):
    """Returns a number for a table; a dash if it is not there."""
    return "–" if number is None or math.isnan(number) else f"{number:,.{digits}f}"


def span(figures, digits=1):
    """Returns the lowest and the highest."""
    there = good(figures)
    return f"{min(there):,.{digits}f} to {max(there):,.{digits}f}" if there else "–"


def table(head, rows):
    """Returns a Markdown table that can be read as it is: the first column is text, the others are figures."""
    cells = [list(map(str, row)) for row in [head, *rows]]
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(head))]
    lines = ["| " + " | ".join(cell.ljust(width) if column == 0 else cell.rjust(width)
                               for column, (cell, width) in enumerate(zip(row, widths))) + " |" for row in cells]
    rule = "|".join("-" * (width + 2) if column == 0 else "-" * (width + 1) + ":"
                    for column, width in enumerate(widths))
    return [lines[0], f"|{rule}|", *lines[1:], ""]


class Section:
    """What one sub-command found: its text, and the runs that were not right."""

    def __init__(self, title, binaries=None):
        """`binaries` are those that it is about by what they are called here; $KINGTIDE without them."""
        self.title, self.binaries = title, binaries or {"": settings.KINGTIDE}
        self.lines, self.faults = [], []
        self.loads = [os.getloadavg()[0]]

    def say(self, *lines):
        """Adds paragraphs."""
        for line in lines:
            self.lines += [line, ""]

    def table(self, head, rows):
        self.lines += table(head, rows)

    def attempt(self, name, run):
        """Returns what `run` does, or None if its figures are not to be believed, which is noted."""
        try:
            found = run()
        except (OSError, tools.Fault) as error:
            self.faults.append(f"{name}: {error}")
            progress(f"WRONG: {self.faults[-1]}")
            found = None
        self.loads.append(os.getloadavg()[0])
        return found

    def text(self):
        now = datetime.datetime.now(datetime.timezone.utc)
        binaries = "; ".join(f"{name}{identity(binary)}" for name, binary in self.binaries.items())
        head = [f"## {self.title}", "",
                f"Checkout {checkout()}, {binaries}; {now:%H:%M} UTC, load average "
                f"{min(self.loads):.1f} to {max(self.loads):.1f}.", ""]
        faults = []
        if self.faults:
            faults = ["**Not right, and left out of the figures:**", "", *(f"- {fault}" for fault in self.faults), ""]
        return "\n".join([*head, *self.lines, *faults])


def identity(binary):
    """Names a binary by its version and its content: the checkout says nothing of how it was built."""
    version = first_line([binary, "--version"])
    digest = hashlib.sha256(pathlib.Path(binary).read_bytes()).hexdigest()
    return f"{version} (SHA-256 {digest[:12]})"


def checkout():
    return first_line(["git", "describe", "--always", "--dirty"])


def first_line(command):
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return f"no {command[0]}"
    return ((result.stdout + result.stderr).splitlines() or ["unknown"])[0]


def machine():
    """Returns what stands on top of a day's file."""
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return [f"- {cpu.group(1).strip() if cpu else platform.machine()}, {os.cpu_count()} cores, "
            f"{platform.system()} {platform.release()}",
            f"- {first_line(['nginx', '-v'])}, on a core of its own, keep-alive, 2-byte answer",
            f"- {first_line(['wrk', '-v']).split(' Copyright')[0]}",
            *([f"- not on the path and so not measured: {', '.join(tools.absent())}"] if tools.absent() else [])]


def write(section):
    """Adds a section to the day's file, with the machine on top of a new one."""
    now = datetime.datetime.now(datetime.timezone.utc)
    path = pathlib.Path(settings.RESULTS, f"{now:%Y-%m-%d}-bench.md")
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_text() if path.exists() else "\n".join([f"# Costs, {now:%Y-%m-%d}", "", *machine(), ""])
    text = section.text().rstrip("\n")
    path.write_text(before.rstrip("\n") + "\n\n" + text + "\n")
    print(text, flush=True)
    progress(f"written to {path}")
