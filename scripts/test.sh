#!/usr/bin/env bash
# Everything that must hold before a change goes in: format, lints, tests, scripts.
# Usage: scripts/test.sh [arguments for cargo test]
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

started=$SECONDS
step_started=$SECONDS
step_name=''
skipped=()

finish_step() {
    if [[ -n $step_name ]]; then
        printf -- '--- %s: done in %d s\n' "$step_name" $((SECONDS - step_started))
    fi
}

step() {
    finish_step
    step_name=$1
    step_started=$SECONDS
    printf '\n=== %s (%d s so far)\n' "$step_name" $((SECONDS - started))
}

on_exit() {
    local code=$?
    if ((code != 0)); then
        printf '\nFAILED: %s, exit code %d, after %d s\n' "${step_name:-start}" "$code" $((SECONDS - started))
    fi
}
trap on_exit EXIT

have() {
    if [[ $1 == python3-websockets ]]; then
        # A package of the system's Python, which another one on PATH does not have.
        /usr/bin/python3 -c 'import websockets' >/dev/null 2>&1
        return
    fi
    command -v "$1" >/dev/null 2>&1 || [[ -x /usr/sbin/$1 ]]
}

# Installs the package of a program if the program is missing. Where that cannot be done, the part
# that needs it is left out, and the end says so.
need() {
    local program=$1 package=$2 part=$3
    if have "$program"; then
        return 0
    fi
    local root=()
    if [[ $(id -u) -ne 0 ]]; then
        root=(sudo -n)
    fi
    if have apt-get && { [[ ${#root[@]} -eq 0 ]] || { have sudo && sudo -n true 2>/dev/null; }; }; then
        printf 'installing %s for %s\n' "$package" "$part"
        if [[ -z ${apt_updated:-} ]]; then
            "${root[@]}" apt-get update -qq >/dev/null 2>&1 || true
            apt_updated=yes
        fi
        DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq --no-install-recommends \
            "$package" >/dev/null 2>&1 || true
    fi
    if have "$program"; then
        return 0
    fi
    printf 'skipping %s: %s is missing and cannot be installed here (package %s)\n' \
        "$part" "$program" "$package"
    skipped+=("$part")
    return 1
}

step 'tools'
if ! have cargo; then
    printf 'cargo is missing: install Rust (the version is in Cargo.toml, rust-version)\n' >&2
    exit 1
fi
have cc || need cc build-essential 'compiling the C and C++ parts' || exit 1
for component in rustfmt clippy; do
    program=cargo-${component#rust}
    if ! have "$program" && have rustup; then
        rustup component add "$component"
    fi
done
# nginx lies in /usr/sbin, which is not on every PATH.
export PATH=$PATH:/usr/sbin
if need nginx nginx-light 'the tests against nginx'; then
    # Where nginx can be had, its tests may not pass by leaving themselves out.
    export TEST_NGINX=required
fi
if need python3-websockets python3-websockets "the tests against Python's WebSocket server"; then
    export TEST_WEBSOCKETS=required
fi
need shellcheck shellcheck 'the check of the shell scripts' || true
cargo --version

step 'format'
cargo fmt --check

step 'shell scripts'
if have shellcheck; then
    shellcheck scripts/*.sh .ci/run
fi

step "the benchmarks' own tests"
if have python3; then
    python3 -B -m unittest discover -s scripts/bench
else
    printf 'skipping: python3 is missing\n'
    skipped+=("the benchmarks' own tests")
fi

# Clippy comes after the tests' build in cost, but its findings are cheaper to mend.
step 'lints'
cargo clippy --locked --all-targets -- -D warnings

step 'tests'
# All of it, even if a part fails: one run tells all that is wrong.
cargo test --locked --no-fail-fast "$@"

step 'the demo, in both languages'
for language in luau rhai; do
    target=${CARGO_TARGET_DIR:-target}
    "$target/debug/kingtide" demo run --lang "$language" --duration 4s >/dev/null 2>&1 || {
        code=$?
        printf 'kingtide demo run --lang %s ended with %d\n' "$language" "$code" >&2
        exit 1
    }
    printf 'kingtide demo run --lang %s: passed\n' "$language"
done

finish_step
for part in "${skipped[@]}"; do
    printf 'SKIPPED: %s\n' "$part"
done
printf '\nPASSED: all checks, in %d s\n' $((SECONDS - started))
