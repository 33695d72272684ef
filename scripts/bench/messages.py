"""Messages: what an echo over a WebSocket and a JSON-RPC call cost, what sockets take, beside raw clients."""

import pathlib
import socket
import subprocess
import time

import process
import settings
import tools
from process import Fault
from report import Section, figure, median, progress, ratios, span

RAW = "target/release/examples/raw_clients"
HOST = "127.0.0.1"
# Connections of a case, and what is sent on each.
SOCKETS, ECHOES = 100, 1_000
CALLERS, CALLS = 64, 1_000
# Sockets that are held, and for how many seconds.
CROWDS, HOLD = (1_000, 5_000), 12


class Relay:
    """The demo target on the target's core, in this process's environment unless given one."""

    def __init__(self, environment=None):
        self.address = f"{HOST}:{settings.PORT}"
        self.child = process.start([settings.KINGTIDE, "demo", "--listen", self.address],
                                   (settings.TARGET_CORE,), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env=environment)
        for _ in range(100):
            try:
                socket.create_connection((HOST, settings.PORT), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"the demo target did not start; is port {settings.PORT} free? set PORT")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        process.stop(self.child)


class Raw:
    """A client without scripts; built by `cargo build --release --example raw_clients`."""

    def __init__(self, what, connections, count):
        self.what, self.connections, self.count = what, connections, count

    def command(self, folder, address):
        return [RAW, self.what, address, str(self.connections), str(self.count)]

    def messages(self, folder, output):
        return tools.number(r"messages (\d+)", output)


class Script:
    """A script of benches/scripts, one iteration for each VU."""

    def __init__(self, script, language, vus, counted, **variables):
        self.tool, self.vus, self.counted = tools.Kingtide(script, language), vus, counted
        self.variables = variables

    def command(self, folder, address):
        values = [word for name, text in self.variables.items()
                  for word in ("--env", f"{name}={text.format(address=address)}")]
        flags = ["-u", str(self.vus), "-i", str(self.vus), "-d", "120s", *values]
        return self.tool.with_flags(tools.Load(folder), flags)

    def messages(self, folder, output):
        found = tools.read_json(f"{folder}/summary.json")
        errors = tools.value(found, "iteration_errors", "count", 0)
        failed = tools.value(found, "checks", "rate", 1.0) < 1.0
        if errors or failed:
            raise Fault(f"{errors} errors of the script" if errors else "checks failed")
        return int(tools.value(found, self.counted, "count"))


def raw_clients(section):
    """Returns whether there is something to compare with; if not, the section says so."""
    if pathlib.Path(RAW).exists():
        return True
    missing = "The raw clients are not built, and left out: `cargo build --release --example raw_clients` builds them."
    progress(missing)
    section.say(missing)
    return False


def messages(folder):
    """Echoes over WebSockets and JSON-RPC calls, in CPU per message, beside raw clients."""
    section = Section("Messages")
    section.say(
        f"Medians of {settings.ROUNDS} alternating rounds; the client on one core, the demo target on another. "
        f"{SOCKETS} sockets with {ECHOES:,} echoes of 63 bytes each, {CALLERS} VUs with {CALLS:,} calls each. CPU is the "
        "whole process's, start-up and connecting included. *Raw* is the same through tokio-tungstenite and through "
        "hyper with serde_json, in Rust, without scripts, without measuring.")
    compared = raw_clients(section)
    echo = {"WS_URL": "ws://{address}", "MESSAGES": str(ECHOES)}
    http = {"RELAY_URL": "http://{address}/api/rpc", "CALLS": str(CALLS)}
    live = {"RELAY_URL": "ws://{address}/ws/rpc", "CALLS": str(CALLS)}
    groups = [
        ("WebSocket echo", Raw("ws", SOCKETS, ECHOES), "echo", SOCKETS, "ws_msgs_received", echo, SOCKETS * ECHOES),
        ("JSON-RPC over HTTP", Raw("rpc", CALLERS, CALLS), "rpc", CALLERS, "rpc_reqs", http, CALLERS * CALLS),
        ("JSON-RPC over WebSocket", None, "rpc", CALLERS, "rpc_reqs", live, CALLERS * CALLS),
    ]
    rows = []
    with Relay() as relay:
        for name, raw, script, vus, counted, variables, wanted in groups:
            raw = raw if compared else None
            cases = [(f"{name}, raw", raw)] if raw else []
            cases += [(f"{name}, {language}", Script(script, language, vus, counted, **variables))
                      for language in settings.LANGUAGES]
            results = {case: [] for case, _ in cases}
            for number in range(settings.ROUNDS):
                for case, runner in cases:
                    found = section.attempt(f"{case}, round {number + 1}",
                                            lambda: one(runner, folder, relay, wanted))
                    results[case].append(found)
                    if found:
                        progress(f"{case}, round {number + 1}: {found[0]:.1f} µs per message")
            for case, _ in cases:
                cpu, user = ([found[at] if found else None for found in results[case]] for at in (0, 1))
                first = results[cases[0][0]] if raw else []
                against = ratios(cpu, [found[0] if found else None for found in first]) if raw else []
                rows.append([case, figure(median(cpu), 1), span(cpu), figure(median(user), 1),
                             figure(median(against), 2)])
    section.table(["", "CPU µs/message", "from, to", "user µs", "× raw"], rows)
    return section


def one(runner, folder, relay, wanted):
    """Runs a case once; returns CPU and user µs per message."""
    cost = process.run(runner.command(folder, relay.address), (settings.GENERATOR_CORE,), 180)
    came = runner.messages(folder, cost.output)
    if came != wanted:
        raise Fault(f"{came:,} messages instead of {wanted:,}")
    return cost.cpu / came * 1e6, cost.user / came * 1e6


def sockets(folder):
    """What sockets that are told something every second take in memory."""
    section = Section("Memory per WebSocket")
    section.say(
        f"A socket for each VU that is told of a tide every second for {HOLD} s, less what a run with one takes; the "
        "most resident memory of the process. *Raw* is tokio-tungstenite as it is configured by default.")
    names = ["raw"] if raw_clients(section) else []
    rows = []
    with Relay() as relay:
        for name in [*names, *settings.LANGUAGES]:
            sizes = {count: section.attempt(f"{name}, {count:,} sockets", lambda: held(name, count, folder, relay))
                     for count in (1, *CROWDS)}
            for count in CROWDS:
                if sizes[1] and sizes[count]:
                    each = (sizes[count] - sizes[1]) / (count - 1)
                    rows.append([name, f"{count:,}", figure(sizes[count] / 1024, 1), figure(each, 1)])
                    progress(f"{name}, {count:,} sockets: {each:.1f} KiB each")
    section.table(["", "sockets", "resident MiB", "KiB per socket"], rows)
    return section


def held(name, count, folder, relay):
    """Holds sockets; returns the most KiB that were resident."""
    if name == "raw":
        runner = Raw("hold", count, HOLD)
    else:
        variables = {"WS_URL": "ws://{address}", "HOLD": str(HOLD)}
        runner = Script("tides", name, count, "ws_msgs_received", **variables)
    cost = process.run(runner.command(folder, relay.address), (settings.GENERATOR_CORE,), 120)
    came = runner.messages(folder, cost.output)
    if came < count * (HOLD - 2):
        raise Fault(f"{came:,} messages on {count:,} sockets in {HOLD} s")
    return cost.peak_kib
