"""Starts programs on their cores and measures them from outside: CPU time, memory, the time of their end."""

import atexit
import contextlib
import dataclasses
import os
import pathlib
import re
import select
import signal
import subprocess
import tempfile
import time

# How often resident memory is looked at.
LOOK_EVERY = 0.1

_running = set()


class Fault(Exception):
    """A run that was not right; its figures are not to be believed."""


@dataclasses.dataclass
class Cost:
    """A process from its start to its end: seconds, and the most resident memory that was seen."""

    wall: float
    cpu: float
    user: float
    peak_kib: int
    output: str


@contextlib.contextmanager
def on_cores(cores):
    """Processes that are started inside run on these cores (all of them if there are none)."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def start(command, cores, **options):
    """Starts a program that is killed with this one, if it should still run then."""
    with on_cores(cores):
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)
    _running.add(child)
    return child


def stop(child, patience=10):
    """Ends a program that was started here, and waits for it."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait()
    _running.discard(child)


@atexit.register
def _stop_all():
    for child in list(_running):
        stop(child, patience=2)


class Program:
    """A program from its start on, with what it prints."""

    def __init__(self, command, cores):
        self.name = " ".join([os.path.basename(command[0]), *command[1:4]])
        self._output = tempfile.TemporaryFile()
        self.began = time.monotonic()
        self.child = start(command, cores, stdout=self._output, stderr=subprocess.STDOUT)
        self.pid = self.child.pid

    def alive(self):
        """Returns whether it still runs; leaves it to be waited for, so that its usage is not lost."""
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return self.child.returncode is None and os.waitid(os.P_PID, self.pid, flags) is None

    def stop(self):
        stop(self.child, patience=2)
        self._output.close()

    def finish(self, limit, watch=None, codes=(0,)):
        """Waits for its end, at most `limit` seconds after the start.

        `watch` has `moments`, seconds after the start in their order, and is called at each with the
        process's id. Raises Fault if the program ends with none of the codes, or not in time.
        """
        moments, peak = list(watch.moments) if watch else [], 0
        with _End(self.pid) as end:
            while True:
                passed = time.monotonic() - self.began
                if passed > limit:
                    self.stop()
                    raise Fault(f"{self.name} did not end within {limit:.0f} s")
                if end.within(min([LOOK_EVERY, limit - passed, *(at - passed for at in moments[:1])])):
                    break
                peak = max(peak, memory_kib(self.pid, "VmHWM"))
                if moments and time.monotonic() - self.began >= moments[0]:
                    moments.pop(0)
                    watch(self.pid)
        _, status, usage = os.wait4(self.pid, 0)
        wall = time.monotonic() - self.began
        self.child.returncode = os.waitstatus_to_exitcode(status)
        _running.discard(self.child)
        self._output.seek(0)
        text = self._output.read().decode(errors="replace")
        self._output.close()
        if self.child.returncode not in codes:
            raise Fault(f"{self.name} ended with {self.child.returncode}: {_last_lines(text)}")
        return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_utime, peak, text)


def run(command, cores, limit, watch=None, codes=(0,)):
    """Runs a program to its end; see Program.finish."""
    program = Program(command, cores)
    try:
        return program.finish(limit, watch, codes)
    finally:
        program.stop()


class _End:
    """Waits for a process's end without taking it away from wait4."""

    def __init__(self, pid):
        self.descriptor = os.pidfd_open(pid)
        # poll, for select cannot take descriptors beyond 1023.
        self.poll = select.poll()
        self.poll.register(self.descriptor, select.POLLIN)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.descriptor)

    def within(self, seconds):
        """Returns whether the process has ended; waits so long for it, and at least a millisecond."""
        return bool(self.poll.poll(max(1.0, seconds * 1e3)))


def cpu_seconds(pid):
    """Returns the CPU time of all threads of a process, those that ended with them.

    The clock's number is made of the process's as clock_getcpuclockid(3) makes it: /proc counts in
    hundredths of a second.
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return float("nan")


def memory_kib(pid, field="VmRSS"):
    """Returns resident memory, or with VmHWM the most there was; 0 if the process has ended."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(rf"{field}:\s+(\d+) kB", text)
    return int(found.group(1)) if found else 0


def available_kib():
    """Returns the memory that the machine could still give."""
    text = pathlib.Path("/proc/meminfo").read_text()
    return int(re.search(r"MemAvailable:\s+(\d+) kB", text).group(1))


def _last_lines(text):
    return " | ".join(line.strip() for line in text.strip().splitlines()[-3:])[-300:] or "no output"
