"""What the environment sets, and which cores are whose. Nothing here runs anything."""

import fnmatch
import os
import sys


def whole(name, default, least=1):
    """Returns a variable's whole number, or ends the program with what is wrong with it."""
    text = os.environ.get(name, "").strip() or str(default)
    if not text.isdecimal() or int(text) < least:
        sys.exit(f"{name}={text}: a whole number from {least} on is needed")
    return int(text)


def wholes(name, default):
    """Returns a variable's whole numbers, which stand apart by spaces or commas."""
    text = os.environ.get(name, "").replace(",", " ").split() or default.split()
    if not all(part.isdecimal() and int(part) > 0 for part in text):
        sys.exit(f"{name}={' '.join(text)}: whole numbers from 1 on are needed")
    return [int(part) for part in text]


def known(name, default):
    """Returns a variable's words, each of which must be among the default's."""
    words = os.environ.get(name, "").replace(",", " ").split() or default.split()
    strange = [word for word in words if word not in default.split()]
    if strange:
        sys.exit(f"{name}: {strange[0]} is none of: {default}")
    return words


def one_core(name, default):
    """Returns the number of a core on which this process may run."""
    core = whole(name, default, 0)
    if core not in os.sched_getaffinity(0):
        sys.exit(f"{name}: core {core} is not one of {sorted(os.sched_getaffinity(0))}")
    return core


def case_matches(name):
    """Returns whether ONLY lets the case through; all are let through without it."""
    return fnmatch.fnmatchcase(name.lower(), os.environ.get("ONLY", "*").lower())


ROUNDS = whole("ROUNDS", 5)
SECONDS = whole("SECONDS_EACH", 4)
PORT = whole("PORT", 7392)
LOADS = wholes("LOADS", "1 64 1000 10000")
RATES = wholes("RATES", "1000 10000 30000")
LANGUAGES = known("LANGUAGES", "luau rhai")
# VUs of the sub-command memory, and of those that only sleep.
VUS = whole("VUS", 10_000, 2)
SLEEPERS = whole("SLEEPERS", 100_000)
KINGTIDE = os.environ.get("KINGTIDE", "target/release/kingtide")
RESULTS = os.environ.get("RESULTS", "benches/results")

CORES = sorted(os.sched_getaffinity(0))
if len(CORES) < 2:
    sys.exit("at least 2 cores are needed: one for the generator, one for the target")
# The generator on one core, the target on the other: neither takes the other's time.
GENERATOR_CORE = one_core("GENERATOR_CORE", CORES[0])
TARGET_CORE = one_core("TARGET_CORE", CORES[1])
if GENERATOR_CORE == TARGET_CORE:
    sys.exit("GENERATOR_CORE and TARGET_CORE must differ")

# Descriptors that a process needs besides its connections.
OTHER_DESCRIPTORS = 100
# VUs that tables call usual: as many connections as the tools' own examples take.
USUAL_VUS = 64
