"""What the harness rests on, without running a load: python3 -B -m unittest discover -s scripts/bench"""

import json
import math
import os
import pathlib
import sys
import tempfile
import time
import unittest
from unittest import mock

import messages
import process
import report
import tools
import train
import trial

WRK = """Running 1s test @ http://127.0.0.1:7392/
  1 threads and 64 connections
  97574 requests in 2.00s, 13.87MB read
"""
OHA = """Summary:
  Success rate:\t100.00%
Status code distribution:
  [200] 12345 responses
  [503] 5 responses

Error distribution:
  [64] aborted due to deadline
  [3] connection closed before message completed
"""
HEY = """Status code distribution:
  [200]\t41520 responses

Error distribution:
  [2]\tGet "http://127.0.0.1:7392/": EOF
"""
LOCUST = """GET      /         100     0(0.00%) |      7       0      70      7 | 5213.05        0.00
         Aggregated   14328     2(0.01%) |      7       0      70      7 | 5213.05        0.00
"""
GOOSE = """ === PER REQUEST METRICS ===
 Name                     |        # reqs |        # fails |    req/s |  fail/s
 GET /                    |        12,345 |         1 (0%) | 3,086.25 |    0.25
"""


class Outputs(unittest.TestCase):
    """What other tools print is read as they mean it."""

    def counted(self, parse, text, **load):
        count = parse(tools.Load("", **load), text)
        return count.requests, count.failed

    def test_wrk(self):
        self.assertEqual(self.counted(tools.parse_wrk, WRK), (97574, 0))
        errors = "  Socket errors: connect 0, read 2, write 0, timeout 3\n  Non-2xx or 3xx responses: 4\n"
        self.assertEqual(self.counted(tools.parse_wrk, WRK + errors), (97574, 9))

    def test_checks_of_wrk_that_fail_or_are_left_out(self):
        text = WRK + "checked 97600\ncheck failed 7\n"
        self.assertEqual(self.counted(tools.parse_checking_wrk, text, vus=64), (97574, 7))
        with self.assertRaisesRegex(process.Fault, "checked 90000"):
            self.counted(tools.parse_checking_wrk, WRK + "checked 90000\ncheck failed 0\n", vus=64)

    def test_oha_and_hey(self):
        self.assertEqual(self.counted(tools.parse_distribution, OHA), (12350, 8))
        self.assertEqual(self.counted(tools.parse_distribution, HEY), (41520, 2))

    def test_locust_and_goose(self):
        self.assertEqual(self.counted(tools.parse_locust, LOCUST), (14328, 2))
        self.assertEqual(self.counted(tools.parse_goose, GOOSE), (12345, 1))

    def test_k6(self):
        metrics = {"http_reqs": {"count": 75}, "http_req_failed": {"passes": 27, "fails": 48},
                   "checks": {"passes": 70, "fails": 5}, "dropped_iterations": {"count": 4}}
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "k6.json").write_text(json.dumps({"metrics": metrics}))
            count = tools.parse_k6(tools.Load(folder), "")
        self.assertEqual((count.requests, count.failed, count.summary["dropped"]), (75, 32, 4))

    def test_nothing_to_read_is_a_fault(self):
        for parse in [tools.parse_wrk, tools.parse_distribution, tools.parse_locust, tools.parse_goose]:
            with self.assertRaises(process.Fault):
                self.counted(parse, "unable to connect")


class Summaries(unittest.TestCase):
    """What a run wrote is its own."""

    def test_the_run_before_leaves_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            load, runner = tools.Load(folder), tools.Kingtide("get", "luau")
            pathlib.Path(folder, "summary.json").write_text("{}")
            self.assertIn(f"{folder}/summary.json", runner.command(load))
            with self.assertRaisesRegex(process.Fault, "cannot be read"):
                runner.read(load, "")


class Proof(unittest.TestCase):
    """A run is believed only if both sides counted the same and nothing failed."""

    def test_equal_counts_pass(self):
        trial.prove(tools.Count(100, 0), 100)
        trial.prove(tools.Count(100, 0, cut=64), 164)

    def test_others_do_not(self):
        for count, served in [(tools.Count(100, 0), 99), (tools.Count(100, 0), 101), (tools.Count(100, 1), 100),
                              (tools.Count(0, 0), 0), (tools.Count(100, 0, cut=64), 165)]:
            with self.assertRaises(process.Fault):
                trial.prove(count, served)


class Figures(unittest.TestCase):
    """Medians and ratios leave out what is not there, round by round."""

    def test_ratios_are_of_one_round(self):
        self.assertEqual(report.ratios([2, None, 9, 8], [1, 5, math.nan, 2]), [2, 4])
        self.assertEqual(report.median([3, None, 1, math.nan, 2]), 2)
        self.assertEqual(report.figure(report.median([None])), "–")

    def test_tables_align(self):
        lines = report.table(["", "µs"], [["wrk", "7.2"], ["get, luau", "1,015.5"]])
        self.assertEqual(lines, ["|           |      µs |", "|-----------|--------:|", "| wrk       |     7.2 |",
                                 "| get, luau | 1,015.5 |", ""])


class Messages(unittest.TestCase):
    """Without the raw clients the scripts are measured all the same, and the section says so."""

    def lines(self, run, raw):
        relay = mock.MagicMock()
        with mock.patch.multiple(messages, RAW=raw, Relay=relay, one=lambda *_: (2.0, 1.0),
                                 held=lambda *_: 4096, progress=lambda _: None):
            section = run("")
        self.assertEqual(section.faults, [])
        return "\n".join(section.lines)

    def test_raw_clients_that_are_not_built_are_left_out(self):
        for run in (messages.messages, messages.sockets):
            lines = self.lines(run, "not/there")
            self.assertIn("The raw clients are not built", lines)
            self.assertNotRegex(lines, r"\n\| [^|]*raw ")
            self.assertRegex(lines, r"\n\| .*luau ")

    def test_raw_clients_have_rows(self):
        for run in (messages.messages, messages.sockets):
            lines = self.lines(run, __file__)
            self.assertNotIn("not built", lines)
            self.assertRegex(lines, r"\n\| [^|]*raw ")


class Training(unittest.TestCase):
    """What release builds are trained with: all of it, in both languages, and nothing that went wrong."""

    def setUp(self):
        found = trial.Trial(1, 1, 1, 1, 1, 1, None, None)
        self.measure = self.enter(mock.patch("train.trial.measure", return_value=found))
        self.one = self.enter(mock.patch("train.messages.one"))
        self.visits = self.enter(mock.patch("train.visits", return_value=1))
        self.nginx = self.enter(mock.patch("train.target.Nginx"))
        self.relay = self.enter(mock.patch("train.messages.Relay"))
        self.enter(mock.patch("train.progress"))

    def enter(self, patch):
        self.addCleanup(patch.stop)
        return patch.start()

    def test_each_work_is_done_in_each_language(self):
        train.train("folder")
        runners = [call.args[0] for call in self.measure.call_args_list] + [
            call.args[0].tool for call in self.one.call_args_list]
        done = {(runner.script, runner.language) for runner in runners}
        self.assertEqual(done, {(script, language) for script in ["bare", "get", "post", "echo", "rpc"]
                                for language in ["luau", "rhai"]})
        self.assertEqual([call.args[2] for call in self.visits.call_args_list], ["luau", "rhai"])
        loads = [call.args[1] for call in self.measure.call_args_list]
        self.assertEqual({load.url for load in loads},
                         {train.target.URL, train.target.SECURE_URL, train.target.HTTP2_URL})
        self.assertEqual({load.rate for load in loads}, {None, train.RATE})
        self.assertEqual(max(load.vus for load in loads), train.CROWD)

    def test_the_demo_target_leaves_no_profile_of_its_own(self):
        train.train("folder")
        (environment,) = self.relay.call_args.args
        self.assertEqual(environment["LLVM_PROFILE_FILE"], os.devnull)
        self.assertEqual(environment["PATH"], os.environ["PATH"])
        self.assertNotIn("LLVM_PROFILE_FILE", os.environ)

    def test_a_run_that_is_not_right_ends_it(self):
        self.one.side_effect = process.Fault("7 messages instead of 8")
        with self.assertRaisesRegex(SystemExit, "the training failed: 7 messages instead of 8"):
            train.train("folder")
        self.visits.assert_not_called()


class Processes(unittest.TestCase):
    """Programs are measured to their end, and stopped if they have none."""

    BURN = "import time\nuntil = time.process_time() + 0.3\nwhile time.process_time() < until: pass"

    def run_it(self, code, limit=30, **options):
        return process.run([sys.executable, "-c", code], None, limit, **options)

    def test_cpu_is_the_programs(self):
        cost = self.run_it(self.BURN)
        self.assertGreaterEqual(cost.cpu, 0.3)
        self.assertGreaterEqual(cost.wall, 0.3)
        self.assertGreater(cost.peak_kib, 1000)

    def test_the_clock_of_another_process(self):
        marks = []

        class Watch:
            """Looks once."""
            moments = (0.2,)

            def __call__(self, pid):
                marks.append(process.cpu_seconds(pid))
        cost = self.run_it(self.BURN, watch=Watch())
        self.assertEqual(len(marks), 1)
        self.assertTrue(0 < marks[0] <= cost.cpu)

    def test_a_code_is_a_fault_with_the_output(self):
        with self.assertRaisesRegex(process.Fault, "ended with 3: sunk"):
            self.run_it("import sys; print('sunk'); sys.exit(3)")
        self.assertEqual(self.run_it("raise SystemExit(3)", codes=(3,)).output, "")

    def test_what_does_not_end_is_stopped(self):
        program = process.Program([sys.executable, "-c", "import time; time.sleep(600)"], None)
        with self.assertRaisesRegex(process.Fault, "did not end within"):
            program.finish(0.3)
        self.assertFalse(os.path.exists(f"/proc/{program.pid}"))

    def test_alive_leaves_the_usage_to_finish(self):
        program = process.Program([sys.executable, "-c", self.BURN], None)
        while program.alive():
            time.sleep(0.01)
        self.assertGreaterEqual(program.finish(30).cpu, 0.3)

    def test_cores_are_the_childs_alone(self):
        before = os.sched_getaffinity(0)
        core = max(before)
        cost = process.run([sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"], [core], 30)
        self.assertEqual(cost.output.strip(), f"{{{core}}}")
        self.assertEqual(os.sched_getaffinity(0), before)


if __name__ == "__main__":
    unittest.main()
