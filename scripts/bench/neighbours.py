"""VUs that keep a schedule beside VUs that compute without waiting, on the same worker."""

import process
import settings
import target
import tools
from process import Fault
from report import Section, figure, median, progress

RATE = 1000
SCRIPT = "neighbours"
# The columns, from the account of one run.
COLUMNS = ["p50", "p99", "max", "duration", "dropped", "computed"]


def neighbours(folder):
    """Lateness of a fixed rate, alone and beside ten VUs that compute."""
    section = Section("Computing neighbours")
    section.say(
        f"{RATE:,} iterations per second of 1,000 VUs (GET + check, then sleep for 0.8 s), alone and beside 10 VUs "
        f"of a second scenario that compute without waiting on the same worker; medians of {settings.ROUNDS} "
        f"alternating rounds of {settings.SECONDS} s. Lateness is start minus due time. *Request p99* is what the "
        "1,000 measured as `http_req_duration`, *computed* the iterations of the ten per second (200,000 steps of a "
        "loop each).")
    rows = []
    with target.Nginx(folder):
        for language in settings.LANGUAGES:
            runs = {"alone": [], "beside 10": []}
            for number in range(settings.ROUNDS):
                for name, found in runs.items():
                    found.append(section.attempt(f"{language}, {name}, round {number + 1}",
                                                 lambda: one_run(language, name != "alone", folder)))
                    if found[-1]:
                        progress(f"{language}, {name}: p99 {found[-1]['p99']:.2f} ms late")
            for name, found in runs.items():
                middle = {key: median([one[key] if one else None for one in found]) for key in COLUMNS}
                rows.append([f"{language}, {name}", figure(middle["p50"], 3), figure(middle["p99"], 3),
                             figure(middle["max"], 2), figure(middle["duration"], 3), figure(middle["dropped"]),
                             figure(middle["computed"])])
    section.table(["", "late p50 ms", "p99 ms", "max ms", "request p99 ms", "dropped", "computed/s"], rows)
    return section


def one_run(language, beside, folder):
    runner, load = tools.Kingtide(SCRIPT, language), tools.Load(folder)
    flags = ["--env", f"RATE={RATE}", "--env", f"DURATION={settings.SECONDS}s"]
    flags += [] if beside else ["--scenario", "paced"]
    with target.Status() as status:
        before = status.settled()[2]
        process.run(runner.with_flags(load, flags), [settings.GENERATOR_CORE], settings.SECONDS + 120)
        served = status.settled()[2] - before
    count = runner.read(load, "")
    found = count.summary
    paced, busy = found["scenarios"]["paced"], found["scenarios"].get("busy")
    accounted = paced["ended"] + paced["interrupted"] + paced["dropped"]
    if count.failed:
        raise Fault(f"{count.failed:,} requests, checks or iterations failed")
    if not paced["due"] == accounted == RATE * settings.SECONDS:
        raise Fault(f"{RATE * settings.SECONDS:,} were due, {accounted:,} are accounted for")
    if not count.requests <= served <= count.requests + count.cut:
        raise Fault(f"the tool counted {count.requests:,} requests, the server {served:,}")
    if beside and not busy["ended"]:
        raise Fault("the ten computed nothing")
    return {"p50": tools.value(found, "iteration_lateness", "med"),
            "p99": tools.value(found, "iteration_lateness", "p(99)"),
            "max": tools.value(found, "iteration_lateness", "max"),
            "duration": tools.value(found, "http_req_duration", "p(99)"), "dropped": paced["dropped"],
            "computed": busy["ended"] / settings.SECONDS if busy else float("nan")}
