#!/usr/bin/env bash
# What Kingtide costs: CPU per request in Luau and in Rhai beside wrk and others, arrivals, start-up,
# memory, comparisons of two binaries. On the loopback, against nginx. scripts/bench.sh -h says more.
set -euo pipefail
cd "$(dirname "$0")/.."
exec python3 -B scripts/bench "$@"
