#!/usr/bin/env bash
# The truth suite at full length, about ten minutes: known delays, stalls of the target and of the
# generator, arrivals, Little's law, too little CPU. Writes what was expected beside what was
# reported to benches/results, in a file of today.
#
# Takes $OUT for another file. Exits with 1 if a figure does not hold. Leave the machine alone
# meanwhile: the tables say what other processes used.
set -euo pipefail
cd "$(dirname "$0")/.."
today=$(date -u +%F)
OUT=${OUT:-benches/results/$today-truth-suite.md}
tables=$(mktemp)
trap 'rm -f "$tables"' EXIT

code=0
TRUTH_OUT=$tables cargo test --release --locked --test truth -- \
    --ignored --exact full_length::everything_at_full_length || code=$?
[ -s "$tables" ] || { echo "the suite left no tables" >&2; exit 1; }

{
    printf '# The truth suite, %s\n\n' "$today"
    printf 'Expected, by the target or by arithmetic, beside what kingtide reported (scripts/truth.sh);\n'
    printf '"room" is how far they may be apart, and docs/truth.md says why.\n\n'
    printf -- '- %s, %s cores, Linux %s, target on the same machine\n' \
        "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)" "$(uname -r)"
    printf -- '- Commit %s, release build\n\n' "$(git rev-parse --short HEAD)"
    cat "$tables"
} >"$OUT"
echo "written: $OUT"
exit "$code"
