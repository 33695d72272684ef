"""What scripts/release.sh does, with programs in place of the compiler and its tools that note how they are called."""

import os
import pathlib
import subprocess
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "release.sh"
# No machine has tools of this LLVM: only those that stand here for them fit.
LLVM = 9876
NOTE = 'echo "$(basename "$0") $*" >>"$CALLS"\n'
RUSTC = f"""case $1 in
-vV) printf 'host: a-host\\nLLVM version: {LLVM}.1.2\\n' ;;
*) echo "$SYSROOT" ;;
esac
"""
CARGO = NOTE + r"""echo "flags $CARGO_ENCODED_RUSTFLAGS" >>"$CALLS"
folder=${@: -1}
if [[ $* == *--target\ * ]]; then folder=$folder/a-host; fi
mkdir -p "$folder/release"
ln -sf "$(type -P true)" "$folder/release/kingtide"
"""
TRAINING = """echo "training $* of $KINGTIDE" >>"$CALLS"
"""


def profdata(version):
    return f"if [[ $1 == --version ]]; then echo 'LLVM version {version}.1.8'; else {NOTE.strip()}; fi\n"


class Release(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.target = self.folder / "target"
        self.add("bin/rustc", RUSTC)
        self.add("bin/cargo", CARGO)
        self.add("bin/python3", TRAINING)
        for name in ["nginx", "openssl"]:
            self.add(f"bin/{name}", "")

    def add(self, path, text):
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("#!/usr/bin/env bash\n" + text)
        file.chmod(0o755)

    def release(self, **variables):
        """Returns the exit code, what the script says, and what it called."""
        calls = self.folder / "calls"
        calls.write_text("")
        environment = {"PATH": f"{self.folder}/bin:/usr/bin:/bin", "CALLS": str(calls), "SYSROOT": str(self.folder),
                       "CARGO_TARGET_DIR": str(self.target), "HOME": os.environ.get("HOME", "/"), **variables}
        run = subprocess.run([SCRIPT], env=environment, capture_output=True, text=True, timeout=60, check=False)
        return run.returncode, run.stdout + run.stderr, calls.read_text().splitlines()

    def test_it_trains_the_first_build_and_uses_the_profile_in_the_second(self):
        self.add(f"bin/llvm-profdata-{LLVM}", profdata(LLVM))
        code, said, calls = self.release()
        pgo = self.target / "pgo"
        build = "cargo build --release --locked --bin kingtide --target a-host --target-dir"
        self.assertEqual(calls, [
            f"{build} {pgo}/instrumented",
            f"flags -Cprofile-generate={pgo}/raw",
            f"training -B scripts/bench train of {pgo}/instrumented/a-host/release/kingtide",
            f"llvm-profdata-{LLVM} merge -o {pgo}/kingtide.profdata {pgo}/raw",
            f"llvm-profdata-{LLVM} show {pgo}/kingtide.profdata",
            f"{build} {pgo}/optimised",
            f"flags -Cprofile-use={pgo}/kingtide.profdata",
        ], said)
        self.assertEqual(code, 0)
        self.assertIn(f"{pgo}/optimised/a-host/release/kingtide: built with a profile", said)

    def test_nothing_of_another_profile_is_left(self):
        self.add(f"bin/llvm-profdata-{LLVM}", profdata(LLVM))
        left = [self.target / "pgo/raw/older.profraw", self.target / "pgo/optimised/older"]
        for file in left:
            file.parent.mkdir(parents=True)
            file.touch()
        self.assertEqual(self.release()[0], 0)
        self.assertEqual([file for file in left if file.exists()], [])

    def test_flags_of_the_callers_stay(self):
        self.add(f"bin/llvm-profdata-{LLVM}", profdata(LLVM))
        flags = [call for call in self.release(RUSTFLAGS="-Ctarget-cpu=native -Cx=y")[2] if call.startswith("flags")]
        self.assertEqual(len(flags), 2)
        for call in flags:
            self.assertTrue(call.startswith("flags -Ctarget-cpu=native\x1f-Cx=y\x1f-Cprofile-"), call)

    def test_the_toolchains_own_profdata_goes_before_the_machines(self):
        self.add("lib/rustlib/a-host/bin/llvm-profdata", profdata(LLVM))
        self.add(f"bin/llvm-profdata-{LLVM}", profdata(LLVM))
        self.assertIn(f"profiles are read by {self.folder}/lib/rustlib/a-host/bin/llvm-profdata\n", self.release()[1])
        self.add("mine", profdata(LLVM + 1))
        self.assertIn(f"profiles are read by {self.folder}/mine\n", self.release(LLVM_PROFDATA=f"{self.folder}/mine")[1])

    def test_without_a_fitting_profdata_it_says_so_and_builds_without(self):
        self.add(f"bin/llvm-profdata-{LLVM}", profdata(LLVM - 1))
        self.add("bin/llvm-profdata", "echo 'Unknown command' >&2; exit 1\n")
        code, said, calls = self.release()
        self.assertEqual(code, 0, said)
        self.assertEqual(calls, [f"cargo build --release --locked --bin kingtide --target-dir {self.target}", "flags "])
        self.assertIn(f"missing for a profile: llvm-profdata of LLVM {LLVM} (rustup component add llvm-tools", said)
        self.assertIn(f"{self.target}/release/kingtide: built WITHOUT a profile", said)

    def test_a_training_that_fails_ends_it(self):
        self.add(f"bin/llvm-profdata-{LLVM}", profdata(LLVM))
        self.add("bin/python3", TRAINING + "exit 1\n")
        code, _, calls = self.release()
        self.assertEqual(code, 1)
        self.assertTrue(calls[-1].startswith("training"), calls)


if __name__ == "__main__":
    unittest.main()
