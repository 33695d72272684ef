#!/usr/bin/env bash
# The stalled target at full length: 50 iterations a second for 30 s, and a target that answers
# nothing for 3 s of them. Prints what must be reported beside what is, in both languages.
#
# Takes $KINGTIDE, or target/release/kingtide of this checkout; $PORT (7391), $OUT for a copy of
# the table. Exits with 1 if a figure is more than 5 % off or an iteration is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
KINGTIDE=${KINGTIDE:-target/release/kingtide}
PORT=${PORT:-7391}
RATE=50 LOAD=30 STALL=3
[ -x "$KINGTIDE" ] || { echo "no $KINGTIDE: run cargo build --release, or set KINGTIDE" >&2; exit 1; }
command -v python3 >/dev/null || { echo "python3 is needed: apt-get install python3" >&2; exit 1; }
work=$(mktemp -d)
trap 'kill "${demo:-}" 2>/dev/null || true; rm -rf "$work"' EXIT

measure() {
    "$KINGTIDE" demo --listen "127.0.0.1:$PORT" --stall "12s:${STALL}s" >"$work/demo.log" 2>&1 &
    demo=$!
    for _ in $(seq 50); do
        if (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; then break; fi
        sleep 0.1
    done
    "$KINGTIDE" run "tests/truth/truth.$1" --rate "$RATE/s" --duration "${LOAD}s" --quiet --ui none \
        --env "BASE_URL=http://127.0.0.1:$PORT/api/echo/truth" \
        --trend-stats 'count,med,p(95),p(99),max' --summary-export "$work/$1.json" >/dev/null
    kill "$demo"
    wait "$demo" 2>/dev/null || true
}

measure luau
measure rhai

python3 - "$work" "$RATE" "$LOAD" "$STALL" <<'PYTHON' | tee "${OUT:-/dev/null}"
import json, sys

folder, (rate, load, stall) = sys.argv[1], map(float, sys.argv[2:])
share = stall / load
wanted = {name: stall * (q - (1 - share)) / share * 1000
          for name, q in [("p(95)", 0.95), ("p(99)", 0.99), ("max", 1.0)]}
good = True
print("| language | figure | expected | reported | off |\n|---|---|---:|---:|---:|")
for language in ["luau", "rhai"]:
    with open(f"{folder}/{language}.json") as file:
        summary = json.load(file)
    (account,) = summary["scenarios"].values()
    due = account["ended"] + account["interrupted"] + account["dropped"]
    exact = account["due"] == due == rate * load
    good &= exact
    print(f"| {language} | due = ended + interrupted + dropped | {rate * load:,.0f} | "
          f"{account['due']:,} = {account['ended']:,} + {account['interrupted']:,} + "
          f"{account['dropped']:,} | {'none' if exact else 'WRONG'} |")
    for metric in ["iteration_response_time", "http_req_duration"]:
        values = summary["metrics"][metric]["values"]
        print(f"| {language} | {metric} p50 | small | {values['med']:.2f} ms | |")
        for stat, expected in wanted.items():
            off = values[stat] / expected - 1
            good &= abs(off) <= 0.05
            print(f"| {language} | {metric} {stat} | {expected:,.0f} ms | {values[stat]:,.1f} ms | "
                  f"{off * 100:+.2f} % |")
    late = summary["metrics"]["iteration_lateness"]["values"]
    print(f"| {language} | iteration_lateness p99, max | small | {late['p(99)']:.2f} ms, {late['max']:.2f} ms | |")
    for warning in summary["generator"]["warnings"]:
        print(f"| {language} | warning | none | {warning} | |")
sys.exit(not good)
PYTHON
