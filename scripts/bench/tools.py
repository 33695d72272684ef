"""The load tools: how each is called for a load, and how its own count of requests and failures is read."""

import dataclasses
import json
import pathlib
import re
import shutil
import subprocess
from collections.abc import Callable

import settings
import target
from process import Fault

SCRIPTS = pathlib.Path("benches/scripts")
# Connections that tools which need to be told take for a rate.
RATED_CONNECTIONS = 64
# The most VUs for a rate, in Kingtide and in k6: a backlog may not open more connections than there are descriptors.
RATED_VUS = 1000


@dataclasses.dataclass(frozen=True)
class Load:
    """What to do to whom: closed with so many VUs, or with a rate (per second) open; once if `once`."""

    folder: str
    url: str = target.URL
    vus: int = settings.USUAL_VUS
    seconds: int = settings.SECONDS
    rate: int | None = None
    once: bool = False
    # Of the seconds, those that are for opening the connections.
    opening: int = 0


@dataclasses.dataclass
class Count:
    """What a tool says of itself. `cut` is how many requests it may have left without an answer."""

    requests: int
    failed: int
    cut: int = 0
    summary: dict | None = None


@dataclasses.dataclass(frozen=True)
class Kingtide:
    """A script of benches/scripts in one language, on one worker unless told otherwise."""

    script: str
    language: str
    binary: str = settings.KINGTIDE
    workers: int = 1
    counted: str = "http_reqs"

    def command(self, load):
        if load.once:
            flags = ["-u", "1", "-i", "1"]
        elif load.rate:
            flags = ["--rate", f"{load.rate}/s", "-u", str(RATED_VUS), "-d", f"{load.seconds}s"]
        else:
            flags = ["-u", str(load.vus), "-d", f"{load.seconds}s"]
        return self.with_flags(load, flags)

    def with_flags(self, load, flags):
        """Returns a call with flags of the caller's for the load itself."""
        return [self.binary, "run", str(SCRIPTS / f"{self.script}.{self.language}"), "--quiet", "--ui", "none",
                "--insecure", "--env", f"BASE_URL={load.url}", "--trend-stats", "count,med,p(99),max",
                "--workers", str(self.workers), "--summary-export", fresh(f"{load.folder}/summary.json"), *flags]

    def read(self, load, _output):
        found = read_json(f"{load.folder}/summary.json")
        failed = value(found, "http_req_failed", "failed", 0) + value(found, "iteration_errors", "count", 0)
        failed += sum(check["fails"] for check in found["checks"])
        cut = sum(account["interrupted"] for account in found["scenarios"].values())
        return Count(int(value(found, self.counted, "count", 0)), int(failed), cut, found)


def fresh(path):
    """Returns the path of a file that is not there: no run may be taken for the one before it."""
    pathlib.Path(path).unlink(missing_ok=True)
    return path


def read_json(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise Fault(f"the summary cannot be read: {error}") from error


def value(found, metric, stat, default=None):
    """Returns a figure of a Kingtide summary."""
    if metric not in found["metrics"] and default is not None:
        return default
    return found["metrics"][metric]["values"][stat]


@dataclasses.dataclass(frozen=True)
class Tool:
    """Another load tool.

    `source` says where it comes from; `ends` whether it ends after one request if told so;
    `most_vus` how many connections it can open within half of a round.
    """

    name: str
    source: str
    call: Callable[[Load], list]
    parse: Callable[[Load, str], Count]
    knows_rates: bool = False
    ends: bool = False
    most_vus: int | None = None
    codes: tuple = (0,)

    def command(self, load):
        return self.call(load)

    def read(self, load, output):
        count = self.parse(load, output)
        # Requests that are under way at the end were counted by the server alone.
        count.cut += RATED_CONNECTIONS if load.rate else load.vus
        return count


def number(pattern, text):
    """Returns the number that a pattern finds; a tool's output without it is none to believe."""
    found = re.search(pattern, text)
    if not found:
        raise Fault(f"no {pattern!r} in the output: {text.strip()[-200:]!r}")
    return int(found.group(1).replace(",", ""))


def call_wrk(load, *flags):
    time = 1 if load.once else load.seconds
    connections = 1 if load.once else load.vus
    return ["wrk", "-t1", f"-c{connections}", f"-d{time}s", "--timeout", "60s", *flags, f"{load.url}/"]


def parse_wrk(_load, text):
    failed = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", text)))
    for line in re.findall(r"Socket errors: (.*)", text):
        failed += sum(map(int, re.findall(r"\d+", line)))
    return Count(number(r"(\d+) requests in", text), failed)


def parse_checking_wrk(load, text):
    count = parse_wrk(load, text)
    checked = number(r"checked (\d+)", text)
    count.failed += number(r"check failed (\d+)", text)
    # wrk ends its own count a little before it stops reading answers.
    if not count.requests <= checked <= count.requests + load.vus:
        raise Fault(f"wrk checked {checked} of {count.requests} answers")
    return count


def call_wrk2(load):
    connections = 1 if load.once else RATED_CONNECTIONS if load.rate else load.vus
    # Closed is a rate that cannot be reached.
    rate = 1 if load.once else load.rate or 1_000_000
    return ["wrk2", "-t1", f"-c{connections}", f"-d{1 if load.once else load.seconds}s", f"-R{rate}",
            "--timeout", "60s", f"{load.url}/"]


def call_oha(load):
    flags = ["--no-tui", "--insecure"]
    if load.once:
        return ["oha", *flags, "-n", "1", "-c", "1", f"{load.url}/"]
    if load.rate:
        flags += ["-q", str(load.rate), "--latency-correction"]
    connections = RATED_CONNECTIONS if load.rate else load.vus
    return ["oha", *flags, "-z", f"{load.seconds}s", "-c", str(connections), f"{load.url}/"]


def call_hey(load):
    if load.once:
        return ["hey", "-n", "1", "-c", "1", f"{load.url}/"]
    # Its rate is each connection's.
    rate = ["-q", f"{load.rate / RATED_CONNECTIONS:g}"] if load.rate else []
    connections = RATED_CONNECTIONS if load.rate else load.vus
    return ["hey", "-z", f"{load.seconds}s", "-c", str(connections), "-t", "60", *rate, f"{load.url}/"]


def parse_distribution(_load, text):
    """Reads what oha and hey print: answers by status, and errors by message."""
    statuses = re.findall(r"\[(\d{3})\]\s+(\d+) responses", text)
    if not statuses:
        raise Fault(f"no status codes in the output: {text.strip()[-200:]!r}")
    errors = text.partition("Error distribution:")[2]
    failed = sum(int(count) for count, message in re.findall(r"\[(\d+)\]\s+(.*)", errors)
                 if "deadline" not in message)
    failed += sum(int(count) for status, count in statuses if not status.startswith("2"))
    return Count(sum(int(count) for _, count in statuses), failed)


def call_k6(work):
    def call(load):
        flags = ["-e", f"WORK={work}", "-e", f"BASE_URL={load.url}", "-e", f"VUS={load.vus}",
                 "-e", f"DURATION={load.seconds}s"]
        if load.rate:
            flags += ["-e", f"RATE={load.rate}", "-e", f"RATED_VUS={RATED_VUS}"]
        if load.once:
            flags += ["-e", "ONCE=1"]
        return ["k6", "run", "--quiet", "--no-usage-report", "--insecure-skip-tls-verify",
                "--summary-export", fresh(f"{load.folder}/k6.json"), *flags, str(SCRIPTS / "k6.js")]
    return call


def parse_k6(load, _text):
    metrics = read_json(f"{load.folder}/k6.json")["metrics"]
    # Of http_req_failed, `passes` are the requests that failed.
    failed = metrics["http_req_failed"]["passes"] + metrics.get("checks", {}).get("fails", 0)
    summary = {"dropped": int(metrics.get("dropped_iterations", {}).get("count", 0))}
    return Count(int(metrics["http_reqs"]["count"]), int(failed), RATED_VUS if load.rate else 0, summary)


def call_locust(load):
    vus, seconds = (1, 1) if load.once else (load.vus, load.seconds)
    return ["locust", "-f", str(SCRIPTS / "get_locust.py"), "--headless", "--only-summary", "-u", str(vus),
            "-r", str(vus), "-t", f"{seconds}s", "--host", load.url]


def parse_locust(_load, text):
    """Reads the last table: its CSV file is written now and then, and not at the end."""
    rows = re.findall(r"Aggregated\s+(\d+)\s+(\d+)\(", text)
    if not rows:
        raise Fault(f"locust counted nothing: {text.strip()[-200:]!r}")
    requests, failed = map(int, rows[0])
    return Count(requests, failed)


def call_goose(load):
    vus, seconds = (1, 1) if load.once else (load.vus, load.seconds)
    return ["goose", "--host", load.url, "--users", str(vus), "--hatch-rate", str(vus),
            "--run-time", f"{seconds}s", "--no-reset-metrics"]


def parse_goose(_load, text):
    row = re.search(r"\|\s+([\d,]+)\s+\|\s+([\d,]+)\s+\(", text)
    if not row:
        raise Fault(f"no requests in goose's output: {text.strip()[-200:]!r}")
    requests, failed = (int(group.replace(",", "")) for group in row.groups())
    return Count(requests, failed)


def is_goose():
    """Returns whether the goose on the path is a load test: other programs have the name, too."""
    if not shutil.which("goose"):
        return False
    shown = subprocess.run(["goose", "--help"], capture_output=True, text=True, timeout=10, check=False)
    return "--hatch-rate" in shown.stdout + shown.stderr


WRK = Tool("wrk", "apt-get install wrk", call_wrk, parse_wrk)
CHECKING_WRK = Tool("wrk", "apt-get install wrk", lambda load: call_wrk(load, "-s", str(SCRIPTS / "wrk-check.lua")),
                    parse_checking_wrk)
PEERS = [
    Tool("wrk2", "no Debian package: its wrk, named wrk2", call_wrk2, parse_wrk, knows_rates=True,
         # It opens a connection every 5 ms.
         most_vus=settings.SECONDS * 100),
    Tool("oha", "no Debian package: cargo install oha", call_oha, parse_distribution, knows_rates=True, ends=True),
    Tool("hey", "apt-get install hey", call_hey, parse_distribution, knows_rates=True, ends=True),
    Tool("k6", "no Debian package: from its makers", call_k6("get"), parse_k6, knows_rates=True, ends=True),
    Tool("goose", "no Debian package: a load test of that crate that gets /, named goose", call_goose, parse_goose),
    Tool("locust", "no Debian package: pip install locust", call_locust, parse_locust, codes=(0, 1)),
]
K6_WORKS = {work: dataclasses.replace(PEERS[3], call=call_k6(work)) for work in ["get", "check", "post"]}


def there(tool):
    return is_goose() if tool.name == "goose" else bool(shutil.which(tool.name))


def peers():
    """Returns the other tools that are on the path."""
    return [tool for tool in PEERS if there(tool)]


def absent():
    """Names the others, each with where it comes from."""
    return [f"{tool.name} ({tool.source})" for tool in PEERS if not there(tool)]
