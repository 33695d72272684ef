"""scripts/bench.sh [-h] [WHAT ...]

Measures what Kingtide costs, on the loopback, against nginx. Figures go to the day's file in
benches/results; docs/benchmarks.md says how to read them.

WHAT (without it: closed arrivals startup):
  closed        CPU per request at 1 to 10,000 VUs, beside wrk and other tools
  arrivals      constant rates of 1,000 to 30,000/s: achieved rate, lateness, CPU per iteration
  startup       from the start of the process to its first request
  workers       two workers against one
  memory        10,000 VUs that request and sleep: memory per VU
  connections   as many open connections as the descriptor limit allows
  sleepers      100,000 VUs in Luau that only sleep
  neighbours    1,000 VUs with a schedule beside 10 that compute
  messages      CPU per WebSocket echo and per JSON-RPC call, beside raw clients in Rust
  sockets       1,000 and 5,000 WebSockets: memory per socket
                (both: without cargo build --release --example raw_clients the raw ones are left out)
  instructions [BINARY ...]
                instructions per request, counted by valgrind
  compare OLD [NEW]
                two binaries in alternating rounds (NEW is $KINGTIDE unless given)
  all           all of these but compare
  train         measures nothing: runs what release builds are trained with (scripts/release.sh)

Environment: KINGTIDE (target/release/kingtide of this checkout), ROUNDS (5), SECONDS_EACH (4),
LOADS ("1 64 1000 10000"), RATES ("1000 10000 30000"), LANGUAGES ("luau rhai"), ONLY (a pattern
for names of cases: '*check*'), VUS (10000), SLEEPERS (100000), PORT (7392, and the next two),
GENERATOR_CORE, TARGET_CORE (the first two), RESULTS (benches/results).

Exits with 1 if a run was not right: its figures are left out, and the file says so.
"""

import atexit
import os
import resource
import shutil
import signal
import sys
import tempfile

if {"-h", "--help"} & set(sys.argv[1:]):
    print(__doc__.strip())
    sys.exit()

# These read the environment, and end the program if it holds nonsense.
import report
import settings
from arrivals import arrivals
from closed import closed, workers
from compare import compare, usable
from crowds import connections, memory, sleepers
from instructions import instructions
from messages import messages, sockets
from neighbours import neighbours
from startup import startup
from train import train

MAIN = [closed, arrivals, startup]
ALL = [*MAIN, workers, memory, connections, sleepers, neighbours, messages, sockets, instructions]
# Those that take binaries; nothing may stand beside them.
WITH_BINARIES = {"compare": compare, "instructions": instructions}
# Programs and their Debian packages: for every sub-command, and for some.
PACKAGES = {"nginx": "nginx", "openssl": "openssl"}
PACKAGES_OF = {"closed": {"wrk": "wrk"}, "arrivals": {"wrk": "wrk"}, "startup": {"wrk": "wrk"},
               "instructions": {"valgrind": "valgrind"}}


def main(words):
    # Debian puts nginx where only root looks.
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    runs, binaries = chosen(words)
    need(PACKAGES)
    for binary in binaries:
        if not usable(binary):
            sys.exit(f"no {binary}: run cargo build --release, or set KINGTIDE")
    # Ten thousand connections need descriptors; what is started inherits the limit.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # The harness itself stays off the generator's core.
    os.sched_setaffinity(0, [settings.TARGET_CORE])
    folder = tempfile.mkdtemp(prefix="kingtide-bench-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    right = True
    for name, run in runs:
        missing = absent(PACKAGES_OF.get(name, {}))
        if missing and words == ["all"]:
            report.progress(f"{name} is left out: apt-get install {' '.join(missing)}")
            continue
        section = run(folder)
        if section is None:
            continue
        report.write(section)
        right &= not section.faults
    sys.exit(0 if right else 1)


def chosen(words):
    """Returns what to run, by name, and the binaries that this takes."""
    default = [settings.KINGTIDE]
    if words and words[0] in WITH_BINARIES and words != ["instructions"]:
        name, given = words[0], words[1:]
        need(PACKAGES_OF.get(name, {}))
        both = given if name == "instructions" or len(given) != 1 else given + default
        return [(name, lambda folder: WITH_BINARIES[name](folder, given))], both
    by_name = {run.__name__: run for run in [*ALL, train]}
    strange = [word for word in words if word not in by_name and word != "all"]
    if strange:
        sys.exit(f"{strange[0]} is nothing that can be measured: scripts/bench.sh -h lists what is")
    runs = ALL if "all" in words else [by_name[word] for word in words] or MAIN
    if words != ["all"]:
        for run in runs:
            need(PACKAGES_OF.get(run.__name__, {}))
    return [(run.__name__, run) for run in runs], default


def absent(packages):
    """Returns the Debian packages of the programs that are not on the path."""
    return [package for name, package in packages.items() if not shutil.which(name)]


def need(packages):
    if missing := absent(packages):
        sys.exit(f"missing: apt-get install {' '.join(missing)}")


main(sys.argv[1:])
