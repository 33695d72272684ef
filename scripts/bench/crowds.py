"""Crowds: what many VUs take in memory, how long until all are there, and how many connections can be open."""

import resource
import time

import process
import settings
import target
import tools
from process import Fault
from report import Section, figure, progress

# How much of the machine's free memory a crowd may take, and what a VU is reckoned to take of it.
MEMORY_SHARE, KIB_PER_VU = 0.5, 64
# Ports that an address has for those who connect to it, if the system's range is the usual one.
PORTS_PER_ADDRESS = 28_000
CORES = [settings.GENERATOR_CORE]


def in_memory(wanted):
    """Returns how many VUs the free memory allows, and what to say if that is fewer."""
    allowed = int(process.available_kib() * MEMORY_SHARE / KIB_PER_VU)
    if allowed >= wanted:
        return wanted, []
    return allowed, [f"Half of the machine's free memory, at {KIB_PER_VU} KiB each, allows no more than "
                     f"{allowed:,} VUs; {wanted:,} were asked for."]


def descriptors():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def run_of(language, script, folder, flags, **variables):
    """Returns the runner, its load, and the program, started."""
    runner = tools.Kingtide(script, language)
    load = tools.Load(folder)
    values = [word for name, text in variables.items() for word in ("--env", f"{name}={text}")]
    return runner, load, process.Program(runner.with_flags(load, [*flags, *values]), CORES)


def finish(program, runner, load, limit, served, accepted=None):
    """Waits for the end and returns the summary; raises Fault unless both sides counted the same."""
    cost = program.finish(limit)
    count = runner.read(load, cost.output)
    if count.failed:
        raise Fault(f"{count.failed:,} requests, checks or iterations failed")
    requests, connections = served()
    if not count.requests <= requests <= count.requests + count.cut:
        raise Fault(f"the tool counted {count.requests:,} requests, the server {requests:,}")
    if accepted is not None and connections != accepted:
        raise Fault(f"the server accepted {connections:,} connections, not {accepted:,}")
    return cost, count.summary


# --- VUs that request and sleep

LOOK_BEFORE, LOOK_AT, RUN = 8, 13, 14


def memory(folder):
    """VUs that request and sleep, with a connection each."""
    allowed = descriptors() - settings.OTHER_DESCRIPTORS
    vus, notes = in_memory(min(settings.VUS, allowed))
    if vus == allowed < settings.VUS:
        notes.append(f"The limit of {descriptors():,} descriptors allows no more VUs (`ulimit -n`).")
    section = Section("Memory per VU")
    section.say(
        f"{vus:,} VUs on one worker, each of which requests and sleeps for 2 s, one connection each; less what a run "
        f"with 1 VU takes. Looked at {LOOK_AT} s after the start; the growth is of the {LOOK_AT - LOOK_BEFORE} s "
        "before.", *notes)
    rows = []
    for language in settings.LANGUAGES:
        with target.Nginx(folder):
            one = section.attempt(f"{language}, 1 VU", lambda: crowd(language, 1, folder))
            many = section.attempt(f"{language}, {vus:,} VUs", lambda: crowd(language, vus, folder))
        if one and many:
            each = (many["kib"] - one["kib"]) / (vus - 1)
            rows.append([language, figure(many["kib"] / 1024, 1), figure(one["kib"] / 1024, 1), figure(each, 1),
                         figure(many["first"], 2), figure(many["cpu"], 1), figure(many["growth"], 2)])
            progress(f"{language}: {each:.1f} KiB per VU")
    section.table(["", "resident MiB", "with 1 VU", "KiB per VU", "s until all had connected", "CPU µs/request",
                   "KiB more per request"], rows)
    return section


def crowd(language, vus, folder):
    """Runs VUs for some seconds and looks at the process from outside."""
    with target.Status() as status:
        _, accepted, requests = status.settled()
        runner, load, program = run_of(language, "idle", folder, ["-u", str(vus), "-d", f"{RUN}s"])
        try:
            first = await_all(program, LOOK_BEFORE, vus, lambda: status.read()[1] - accepted)
            sleep_until(program, LOOK_BEFORE)
            earlier, cpu, before = status.read()[2], process.cpu_seconds(program.pid), process.memory_kib(program.pid)
            sleep_until(program, LOOK_AT)
            made, cpu = status.read()[2] - earlier, process.cpu_seconds(program.pid) - cpu
            resident = process.memory_kib(program.pid)
            finish(program, runner, load, RUN + 60,
                   lambda: (status.settled()[2] - requests, status.read()[1] - accepted), accepted=vus)
        finally:
            program.stop()
    return {"kib": resident, "first": first, "cpu": cpu / max(made, 1) * 1e6,
            "growth": (resident - before) / max(made, 1)}


def await_all(program, limit, vus, there):
    """Returns after how many seconds so many are there, looking every 10 ms; raises Fault if they never are."""
    most = 0
    while (passed := time.monotonic() - program.began) < limit:
        most = max(most, there())
        if most >= vus:
            return passed
        if not program.alive():
            break
        time.sleep(0.01)
    raise Fault(f"only {most:,} of {vus:,} were there at a time, in {time.monotonic() - program.began:.1f} s")


def sleep_until(program, seconds):
    time.sleep(max(0.0, program.began + seconds - time.monotonic()))
    if not program.alive():
        raise Fault(f"the program ended before {seconds} s")


# --- As many connections as can be

def connections(folder):
    """As many open connections as the limits allow."""
    allowed = descriptors() - settings.OTHER_DESCRIPTORS
    ports = PORTS_PER_ADDRESS * len(target.ADDRESSES)
    vus, notes = in_memory(min(allowed, ports))
    if vus == ports:
        notes.append(f"The ports of {len(target.ADDRESSES)} addresses allow no more.")
    hold = max(10, vus // 1000)
    section = Section("Open connections")
    section.say(
        f"{vus:,} VUs on one worker, each of which makes one request and holds its connection for {hold} s; the limit "
        f"of descriptors is {descriptors():,}, for the target, too. Memory is the process's, a second after all were "
        "open; the kernel's is not in it.", *notes)
    rows = []
    for language in settings.LANGUAGES:
        with target.Nginx(folder) as nginx:
            one = section.attempt(f"{language}, 1 connection", lambda: held(language, 1, 3, folder))
            many = section.attempt(f"{language}, {vus:,} connections", lambda: held(language, vus, hold, folder))
            if nginx.exhausted():
                section.faults.append(f"{language}: nginx said: {nginx.exhausted()}")
        if one and many:
            each = (many["kib"] - one["kib"]) / (vus - 1)
            rows.append([language, f"{vus:,}", figure(many["kib"] / 1024, 1), figure(one["kib"] / 1024, 1),
                         figure(each, 1), figure(many["first"], 2), figure(many["cpu"], 2)])
            progress(f"{language}: {vus:,} connections, {each:.1f} KiB each")
    section.table(["", "connections", "resident MiB", "with 1", "KiB each", "s until all were open", "CPU s by then"],
                  rows)
    return section


def held(language, vus, hold, folder):
    """Opens so many connections and looks at the process while all are open."""
    with target.Status() as status:
        _, accepted, requests = status.settled()
        runner, load, program = run_of(language, "hold", folder, ["-u", str(vus), "-i", str(vus)],
                                       PORT=settings.PORT, ADDRESSES=len(target.ADDRESSES), HOLD=hold)
        try:
            first = await_all(program, hold + 60, vus, lambda: status.read()[0])
            cpu = process.cpu_seconds(program.pid)
            time.sleep(1)
            resident = process.memory_kib(program.pid)
            if status.read()[0] < vus:
                raise Fault(f"only {status.read()[0]:,} of {vus:,} connections stayed open")
            finish(program, runner, load, hold + 120,
                   lambda: (status.settled()[2] - requests, status.read()[1] - accepted), accepted=vus)
        finally:
            program.stop()
    return {"kib": resident, "first": first, "cpu": cpu}


# --- VUs that only sleep

SLEEPERS_RUN = 30


def sleepers(folder):
    """VUs in Luau that sleep most of the time, without connections."""
    vus, notes = in_memory(settings.SLEEPERS)
    section = Section("VUs that sleep")
    section.say(
        f"{vus:,} VUs in Luau on one worker for {SLEEPERS_RUN} s. Each sleeps for 5 s at a time; nothing connects. "
        "*All had begun* is from before the process is made to the begin of the last VU's first iteration, as the "
        "script sees it; memory is the most that was seen, less what a run with 1 VU takes for the share of each.",
        *notes)
    one = section.attempt("1 VU", lambda: asleep(1, 8, folder))
    many = section.attempt(f"{vus:,} VUs", lambda: asleep(vus, SLEEPERS_RUN, folder))
    rows = []
    if one and many:
        each = (many["kib"] - one["kib"]) / max(vus - 1, 1)
        rows.append([f"{vus:,}", figure(many["kib"] * 1024 / 1e9, 2), figure(each, 1), figure(many["half"], 2),
                     figure(many["all"], 2), figure(many["cpu"], 2), f"{many['ended']:,}"])
        progress(f"{vus:,} VUs: {each:.1f} KiB each, all had begun after {many['all']:.2f} s")
    section.table(["VUs", "GB", "KiB per VU", "s until half had begun", "all had begun", "CPU s", "iterations"], rows)
    return section


def asleep(vus, seconds, folder):
    runner, _, program = run_of("luau", "sleep", folder, ["-u", str(vus), "-d", f"{seconds}s"],
                                STARTED=f"{time.time():.6f}")
    try:
        cost = program.finish(seconds + 180)
    finally:
        program.stop()
    found = tools.read_json(f"{folder}/summary.json")
    failed = tools.value(found, "iteration_errors", "count", 0)
    began = tools.value(found, "begun", "count")
    (account,) = found["scenarios"].values()
    if failed or began != vus or account["ended"] + account["interrupted"] < vus:
        raise Fault(f"{began:,} of {vus:,} VUs began, {account['ended']:,} iterations ended, {failed:,.0f} failed")
    return {"kib": cost.peak_kib, "half": tools.value(found, "begun", "med") / 1e3,
            "all": tools.value(found, "begun", "max") / 1e3, "cpu": cost.cpu, "ended": account["ended"]}
