"""What scripts/bench.sh and scripts/bench-memory.sh do; see there."""

import atexit
import datetime
import json
import os
import pathlib
import platform
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = int(os.environ.get("ROUNDS", "5"))
SECONDS = int(os.environ.get("SECONDS_EACH", "4"))
PORT = int(os.environ.get("PORT", "7392"))
VUS = int(os.environ.get("VUS", "10000"))
KINGTIDE = os.environ.get("KINGTIDE", "target/release/kingtide")
URL = f"http://127.0.0.1:{PORT}"
PACKAGES = {"nginx": "nginx", "wrk": "wrk", "taskset": "util-linux"}
# The generator on one core, the target on the other: neither takes the other's time.
GENERATOR_CORE, TARGET_CORE = "0", "1"
LANGUAGES = ["luau", "rhai"]
# Descriptors that a process needs besides its connections.
OTHER_DESCRIPTORS = 100

NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_rlimit_nofile {descriptors};
events {{ worker_connections {descriptors}; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=16384;
        default_type text/plain;
        location / {{ return 200 "ok"; }}
        location /json {{
            default_type application/json;
            return 200 '{{"order":{{"id":7,"state":"paid","items":[{{"sku":"tide"}},{{"sku":"ebb"}}]}},"time":1.5}}';
        }}
        location /status {{ stub_status; }}
    }}
}}
"""


def main():
    needed = ["nginx", "taskset"] + (["wrk"] if sys.argv[1] == "speed" else [])
    # Debian puts nginx where only root looks.
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    missing = [PACKAGES[name] for name in needed if not shutil.which(name)]
    if missing:
        sys.exit(f"missing: apt-get install {' '.join(missing)}")
    if not os.access(KINGTIDE, os.X_OK):
        sys.exit(f"no {KINGTIDE}: run cargo build --release, or set KINGTIDE")
    if (os.cpu_count() or 1) < 2:
        sys.exit("at least 2 cores are needed: one for the generator, one for the target")
    folder = tempfile.mkdtemp(prefix="kingtide-bench-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    start_nginx(folder)
    {"speed": speed, "memory": memory}[sys.argv[1]](folder)


def start_nginx(folder):
    descriptors = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 1 << 20)
    config = pathlib.Path(folder, "nginx.conf")
    config.write_text(NGINX.format(folder=folder, port=PORT, descriptors=descriptors))
    # Workers that are not root must get into the folder.
    os.chmod(folder, 0o755)
    server = subprocess.Popen(["taskset", "-c", TARGET_CORE, "nginx", "-c", str(config), "-p", folder])
    atexit.register(lambda: (server.terminate(), server.wait()))
    for _ in range(100):
        if server.poll() is not None:
            sys.exit("nginx did not start; is the port free? set PORT")
        try:
            return Status()
        except OSError:
            time.sleep(0.05)
    sys.exit("nginx did not answer within 5 s")


class Status:
    """nginx's own count of connections and requests, over one connection."""

    def __init__(self):
        self.socket = socket.create_connection(("127.0.0.1", PORT), timeout=5)

    def read(self):
        self.socket.sendall(b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n")
        text = b""
        while b"Waiting" not in text:
            text += self.socket.recv(4096)
        accepted, _, requests = re.search(rb"\n (\d+) (\d+) (\d+) ", text).groups()
        return int(accepted), int(requests)


class Cost:
    """A process from its start to its end: wall and CPU seconds, and what it printed."""

    def __init__(self, command):
        began = time.monotonic()
        with tempfile.TemporaryFile() as output:
            child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            self.wall = time.monotonic() - began
            output.seek(0)
            self.output = output.read().decode()
        self.cpu = usage.ru_utime + usage.ru_stime
        self.user = usage.ru_utime
        if child.returncode != 0:
            sys.exit(f"{' '.join(command)} ended with {child.returncode}:\n{self.output}")


def kingtide(script, flags, export):
    return [KINGTIDE, "run", f"benches/scripts/{script}", "--quiet", "--ui", "none",
            "--env", f"BASE_URL={URL}", "--trend-stats", "count,med,p(99),max",
            "--summary-export", export, *flags]


def pinned(command):
    return ["taskset", "-c", GENERATOR_CORE, *command]


def summary(export):
    with open(export) as file:
        return json.load(file)


def values(found, metric):
    return found["metrics"][metric]["values"]


def failures(found):
    failed = values(found, "http_req_failed")["failed"]
    return failed + sum(check["fails"] for check in found["checks"])


def closed(script, folder):
    """Returns CPU and user µs per request, requests per second and failures."""
    export = f"{folder}/summary.json"
    cost = Cost(pinned(kingtide(script, ["-u", "64", "-d", f"{SECONDS}s", "--workers", "1"], export)))
    found = summary(export)
    count = values(found, "http_reqs")["count"]
    return cost.cpu / count * 1e6, cost.user / count * 1e6, count / SECONDS, failures(found)


def wrk():
    cost = Cost(pinned(["wrk", "-t1", "-c64", f"-d{SECONDS}s", f"{URL}/"]))
    count = int(re.search(r"(\d+) requests in", cost.output).group(1))
    failed = sum(map(int, re.findall(r"Non-2xx.*: (\d+)", cost.output)))
    return cost.cpu / count * 1e6, cost.user / count * 1e6, count / SECONDS, failed


def speed(folder):
    cases = {"wrk -t1 -c64": wrk}
    for script in ["get", "post"]:
        for language in LANGUAGES:
            name = f"{script}.{language}"
            cases[name] = lambda name=name: closed(name, folder)
    rounds = {name: [] for name in cases}
    loads = [os.getloadavg()[0]]
    for number in range(ROUNDS):
        for name, case in cases.items():
            rounds[name].append(case())
            progress(f"round {number + 1}: {name} {rounds[name][-1][0]:.1f} µs per request")
        loads.append(os.getloadavg()[0])
    lines = ["## CPU per request", "",
             f"64 VUs (connections) on 1 worker, medians of {ROUNDS} alternating rounds of {SECONDS} s. CPU is the",
             "whole process's, start-up included; the ratio is the median of each round's.", "",
             "| | CPU µs/request | lowest to highest | user µs | × wrk | requests/s | failed |",
             "|---|---:|---:|---:|---:|---:|---:|"]
    base = [one[0] for one in rounds["wrk -t1 -c64"]]
    for name, results in rounds.items():
        cpu, user, rate, failed = zip(*results)
        ratio = statistics.median(mine / its for mine, its in zip(cpu, base))
        lines.append(f"| {name} | {statistics.median(cpu):.1f} | {min(cpu):.1f} to {max(cpu):.1f} | "
                     f"{statistics.median(user):.1f} | {ratio:.2f} | {statistics.median(rate):,.0f} | "
                     f"{sum(failed):,} |")
    lines += ["", "## Arrivals at 10,000/s", "",
              f"GET + check at a constant rate on 1 worker, medians of {ROUNDS} rounds of {SECONDS} s.", "",
              "| | lateness p50 ms | p99 ms | max ms | CPU µs/iteration | due | ended | max VUs | failed |",
              "|---|---:|---:|---:|---:|---:|---:|---:|---:|"]
    lines += arrivals(folder)
    lines += ["", "## Start-up", "",
              "1 VU and 1 iteration with one request, from the process's start to its end; medians of 11.", "",
              "| | wall ms | CPU ms |", "|---|---:|---:|"]
    for language in LANGUAGES:
        flags = ["-u", "1", "-i", "1"]
        costs = [Cost(kingtide(f"get.{language}", flags, f"{folder}/summary.json")) for _ in range(11)]
        wall = statistics.median(cost.wall for cost in costs)
        cpu = statistics.median(cost.cpu for cost in costs)
        lines.append(f"| {language} | {wall * 1e3:.1f} | {cpu * 1e3:.1f} |")
    write(lines, loads)


def arrivals(folder):
    export = f"{folder}/summary.json"
    results = {language: [] for language in LANGUAGES}
    for number in range(ROUNDS):
        for language in LANGUAGES:
            flags = ["--rate", "10000/s", "-d", f"{SECONDS}s", "--workers", "1"]
            cost = Cost(pinned(kingtide(f"get.{language}", flags, export)))
            found = summary(export)
            late = values(found, "iteration_lateness")
            (account,) = found["scenarios"].values()
            results[language].append((late["med"], late["p(99)"], late["max"],
                                      cost.cpu / account["ended"] * 1e6, account["due"],
                                      account["ended"], account["vus_max"], failures(found)))
            progress(f"round {number + 1}: 10,000/s {language} lateness p99 {late['p(99)']:.2f} ms")
    for language, rounds in results.items():
        middle = [statistics.median(column) for column in zip(*rounds)]
        yield (f"| {language} | {middle[0]:.3f} | {middle[1]:.3f} | {middle[2]:.2f} | {middle[3]:.1f} | "
               + " | ".join(f"{figure:,.0f}" for figure in middle[4:]) + " |")


def memory(folder):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    vus = min(VUS, limit - OTHER_DESCRIPTORS)
    lines = ["## Memory per VU", "",
             f"{vus:,} VUs in one process, each of which requests and sleeps for 2 s, one connection each; less",
             "what a run with 1 VU takes. Looked at 13 s after the start; the growth is of the 5 s before.", ""]
    if vus < VUS:
        lines += [f"The limit of {limit:,} descriptors allows no more VUs (`ulimit -n`).", ""]
    lines += ["| | resident MiB | with 1 VU | KiB per VU | s until all had requested | CPU µs/request | KiB more per request | failed |",
              "|---|---:|---:|---:|---:|---:|---:|---:|"]
    loads = [os.getloadavg()[0]]
    for language in LANGUAGES:
        one = crowd(language, 1, folder)
        all_of_them = crowd(language, vus, folder)
        each = (all_of_them["kib"] - one["kib"]) / (vus - 1)
        lines.append(f"| {language} | {all_of_them['kib'] / 1024:,.1f} | {one['kib'] / 1024:,.1f} | {each:.1f} | "
                     f"{all_of_them['first']:.2f} | {all_of_them['cpu']:.1f} | "
                     f"{all_of_them['growth']:.2f} | {all_of_them['failed']:,} |")
        progress(f"{language}: {each:.1f} KiB per VU")
        loads.append(os.getloadavg()[0])
    write(lines, loads)


def crowd(language, vus, folder):
    """Runs VUs for 14 s and looks at the process from outside."""
    export = f"{folder}/summary.json"
    status = Status()
    accepted_before, _ = status.read()
    began = time.monotonic()
    flags = ["-u", str(vus), "-d", "14s"]
    child = subprocess.Popen(kingtide(f"idle.{language}", flags, export), stdout=subprocess.DEVNULL)
    first = None
    while first is None and time.monotonic() - began < 10 and child.poll() is None:
        accepted, _ = status.read()
        if accepted - accepted_before >= vus:
            first = time.monotonic() - began
        time.sleep(0.01)
    sleep_until(began + 8)
    requests, cpu, before = status.read()[1], cpu_seconds(child.pid), resident_kib(child.pid)
    sleep_until(began + 13)
    requests, cpu = status.read()[1] - requests - 1, cpu_seconds(child.pid) - cpu
    resident = resident_kib(child.pid)
    try:
        code = child.wait(60)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
        sys.exit(f"idle.{language} with {vus} VUs did not end within a minute of its time")
    if code != 0:
        sys.exit(f"idle.{language} with {vus} VUs ended with {code}")
    found = summary(export)
    for warning in found["generator"]["warnings"]:
        progress(f"warning: {warning}")
    return {"kib": resident, "first": first or float("nan"), "cpu": cpu / max(requests, 1) * 1e6,
            "failed": failures(found), "growth": (resident - before) / max(requests, 1)}


def sleep_until(at):
    time.sleep(max(0.0, at - time.monotonic()))


def cpu_seconds(pid):
    # The name in the second field may hold spaces.
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1))


def progress(text):
    print(text, file=sys.stderr, flush=True)


def first_line(command):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return (result.stdout + result.stderr).splitlines()[0]


def write(lines, loads):
    """Adds to the day's file, with the machine on top of a new one."""
    now = datetime.datetime.now(datetime.timezone.utc)
    path = pathlib.Path("benches/results", f"{now:%Y-%m-%d}-bench.md")
    path.parent.mkdir(parents=True, exist_ok=True)
    commit = first_line(["git", "describe", "--always", "--dirty"])
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    head = [f"# Costs, {now:%Y-%m-%d}", "",
            f"- {cpu.group(1) if cpu else platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
            f"- {first_line(['nginx', '-v'])}, 1 worker on the other core, keep-alive, 2-byte answer",
            f"- {first_line(['wrk', '-v']).split(' Copyright')[0] if shutil.which('wrk') else 'no wrk'}", ""]
    run = [f"Commit {commit}, {first_line([KINGTIDE, '--version'])}, {now:%H:%M} UTC, load average "
           f"{min(loads):.1f} to {max(loads):.1f}.", ""]
    text = "\n".join([lines[0], "", *run, *lines[2:]]) + "\n"
    before = path.read_text() + "\n" if path.exists() else "\n".join(head) + "\n"
    path.write_text(before + text)
    print(text)
    progress(f"written to {path}")


main()
