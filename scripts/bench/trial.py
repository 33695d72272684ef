"""One run of one tool, measured from outside and proven right before its figures are believed."""

import dataclasses
import math
import time

import process
import settings
from process import Fault
from target import Status

# How long a program may take beyond its load: to start, to drain, to sum up.
PATIENCE = 120


@dataclasses.dataclass
class Trial:
    """What a run cost. `once_open` and `rate_once_open` are of the time when all connections were open."""

    requests: int
    cpu_us: float
    user_us: float
    peak_mib: float
    once_open_us: float
    rate_once_open: float
    cost: process.Cost
    summary: dict | None


class Window:
    """Looks at a process and at the target twice while all connections should be open."""

    def __init__(self, status, load):
        self.status, self.vus = status, load.vus
        rest = load.seconds - load.opening
        self.moments = (load.opening + rest * 0.5, load.opening + rest * 0.95)
        self.marks = []

    def __call__(self, pid):
        open_now, _, requests = self.status.read()
        self.marks.append((time.monotonic(), process.cpu_seconds(pid), requests, open_now))

    def figures(self):
        """Returns CPU µs per request and requests per second; NaN if not all connections were open."""
        if len(self.marks) < 2 or self.marks[0][3] < self.vus:
            return math.nan, math.nan
        (began, cpu, requests, _), (ended, cpu_then, requests_then, _) = self.marks
        count = requests_then - requests
        if count <= 0:
            return math.nan, math.nan
        return (cpu_then - cpu) / count * 1e6, count / (ended - began)


def measure(runner, load, cores=(settings.GENERATOR_CORE,)):
    """Runs a tool; raises Fault if a request failed or the server counted other than the tool."""
    with Status() as status:
        _, accepted, before = status.settled()
        window = Window(status, load)
        watch = None if load.rate or load.once else window
        cost = process.run(runner.command(load), cores, load.seconds + PATIENCE, watch,
                           codes=getattr(runner, "codes", (0,)))
        _, accepted_then, served = status.settled()
    count = runner.read(load, cost.output)
    prove(count, served - before)
    if not load.rate and accepted_then - accepted < load.vus:
        raise Fault(f"only {accepted_then - accepted:,} of {load.vus:,} connections were opened")
    once_open_us, rate_once_open = window.figures()
    return Trial(requests=count.requests, cpu_us=cost.cpu / count.requests * 1e6,
                 user_us=cost.user / count.requests * 1e6, peak_mib=cost.peak_kib / 1024,
                 once_open_us=once_open_us, rate_once_open=rate_once_open, cost=cost, summary=count.summary)


def prove(count, served):
    """Raises Fault unless all went well and both sides counted the same."""
    if count.requests == 0:
        raise Fault("no request was made")
    if count.failed:
        raise Fault(f"{count.failed:,} of {count.requests:,} requests or checks failed")
    if not count.requests <= served <= count.requests + count.cut:
        raise Fault(f"the tool counted {count.requests:,} requests, the server {served:,}")
