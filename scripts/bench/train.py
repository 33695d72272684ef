"""What a release build is trained with: the works of the benchmarks and a visit of the demo target, in turn.

Code that no training reaches is taken to be cold and compiled for size. So there is some of all that tests
do; an instrumented binary notes what it does itself (scripts/release.sh makes one).
"""

import dataclasses
import os
import sys

import messages
import process
import settings
import target
import tools
import trial
from cases import WORKS, Work
from process import Fault
from report import progress

# So long, on an instrumented binary, is enough for some 10,000 requests of each kind.
SECONDS = 3
# VUs of a crowd, and iterations per second where they arrive at a rate.
CROWD, RATE = 1_000, 2_000
VISITORS = 16
# Messages and calls of each connection: these take ever so long, not SECONDS.
SOCKETS, EACH = 50, 400
OVER_HTTP2 = Work("GET over HTTP/2", "bare", url=target.HTTP2_URL)


def train(folder):
    """Runs all of it, or ends the program at the first run that is not right: a profile of errors is none."""
    try:
        each(folder)
    except (OSError, Fault) as error:
        sys.exit(f"the training failed: {error}")


def each(folder):
    """Runs one work after the other; raises Fault if a request, a check or a count was not right."""
    with target.Nginx(folder):
        for name, work, load in loads(folder):
            for language in settings.LANGUAGES:
                runner = tools.Kingtide(work.script, language, counted=work.counted)
                found = trial.measure(runner, load)
                told(f"{name}, {language}", found.requests)
    # The demo target is not what is to be fast, although it is in the same binary.
    with messages.Relay(os.environ | {"LLVM_PROFILE_FILE": os.devnull}) as relay:
        for language in settings.LANGUAGES:
            for name, runner, wanted in conversations(language):
                messages.one(runner, folder, relay, wanted)
                told(f"{name}, {language}", wanted)
            told(f"visits, {language}", visits(folder, relay, language))


def loads(folder):
    """Returns what is done to nginx: a name, a work, a load."""
    usual = tools.Load(folder, seconds=SECONDS)
    found = [(work.name, work, dataclasses.replace(usual, url=work.url)) for work in [*WORKS, OVER_HTTP2]]
    plain = WORKS[1]
    return [*found, (f"{CROWD:,} VUs", plain, dataclasses.replace(usual, vus=CROWD)),
            (f"{RATE:,}/s", plain, dataclasses.replace(usual, rate=RATE))]


def conversations(language):
    """Returns what is said to the demo target over sockets and JSON-RPC, and how many messages must come."""
    kinds = [("WebSocket echoes", "echo", "ws_msgs_received",
              {"WS_URL": "ws://{address}", "MESSAGES": str(EACH)}),
             ("JSON-RPC over HTTP", "rpc", "rpc_reqs",
              {"RELAY_URL": "http://{address}/api/rpc", "CALLS": str(EACH)}),
             ("JSON-RPC over WebSockets", "rpc", "rpc_reqs",
              {"RELAY_URL": "ws://{address}/ws/rpc", "CALLS": str(EACH)})]
    return [(name, messages.Script(script, language, SOCKETS, counted, **variables), SOCKETS * EACH)
            for name, script, counted, variables in kinds]


def visits(folder, relay, language):
    """Visits the demo target; returns how many requests that took."""
    runner = tools.Kingtide("visit", language)
    load = tools.Load(folder, url=f"http://{relay.address}", vus=VISITORS, seconds=SECONDS)
    cost = process.run(runner.command(load), (settings.GENERATOR_CORE,), load.seconds + trial.PATIENCE)
    count = runner.read(load, cost.output)
    if count.failed or not count.requests:
        raise Fault(f"{count.failed:,} of {count.requests:,} requests, checks or iterations of the visits failed")
    return count.requests


def told(name, count):
    progress(f"{name}: {count:,}")
