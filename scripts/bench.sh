#!/usr/bin/env bash
# What a request costs the generator: CPU time per request of GET + check and of POST JSON, in Luau
# and in Rhai, beside wrk; plain arrivals at 10,000/s; start-up. On the loopback, against nginx.
#
# Takes $KINGTIDE, or target/release/kingtide of this checkout; $ROUNDS (5), $SECONDS_EACH (4),
# $PORT (7392). Writes benches/results/<date>-bench.md. Takes about 4 minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
exec python3 scripts/bench.py speed
