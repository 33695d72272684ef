#!/usr/bin/env bash
# What a VU costs: 10,000 VUs in one process that request and sleep, in Luau and in Rhai. Resident
# memory per VU, time until each has sent its first request, CPU time per request.
#
# Takes $KINGTIDE, or target/release/kingtide of this checkout; $VUS (10000), $PORT (7392). Adds to
# benches/results/<date>-bench.md. Takes about a minute.
set -euo pipefail
cd "$(dirname "$0")/.."
ulimit -n "$(ulimit -H -n)"
exec python3 scripts/bench.py memory
