#!/usr/bin/env bash
# What a VU costs: 10,000 VUs in one process that request and sleep, in Luau and in Rhai. Resident
# memory per VU, time until each has connected, CPU time per request. The same as
# scripts/bench.sh memory, with the same environment. Takes about a minute.
set -euo pipefail
exec "$(dirname "$0")/bench.sh" memory
