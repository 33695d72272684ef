#!/usr/bin/env bash
# Builds the program as it is released: once with counters, trained with what tests do, and once more
# with what was counted. Where something for that is missing, it says so and builds without.
# Usage: scripts/release.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# nginx lies in /usr/sbin, which is not on every PATH.
export PATH=$PATH:/usr/sbin
# Another target directory may be given relative to where cargo is called: here.
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
folder=$target/pgo
raw=$folder/raw
profile=$folder/kingtide.profdata
host=$(rustc -vV | sed -n 's/^host: //p')
llvm=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
missing=()

step() {
    printf '\n=== %s (%d s so far)\n' "$1" "$SECONDS"
}

# Prints the llvm-profdata that reads what this compiler's programs write: the format is that of its
# LLVM, and older ones do not read it. $LLVM_PROFDATA goes before all others.
find_profdata() {
    local candidate version
    for candidate in "${LLVM_PROFDATA:-}" "$(rustc --print sysroot)/lib/rustlib/$host/bin/llvm-profdata" \
        "llvm-profdata-$llvm" llvm-profdata; do
        if [[ -z $candidate ]] || ! command -v "$candidate" >/dev/null; then
            continue
        fi
        # Those before LLVM 15 do not even know --version.
        version=$("$candidate" --version 2>/dev/null | sed -n 's/.*LLVM version \([0-9]*\).*/\1/p' | head -n 1) || true
        if [[ -n $version ]] && ((version >= llvm)); then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

# cargo build with flags for the compiler, in a folder of its own. With --target the flags do not reach
# build scripts and macros, which would write profiles, too.
build() {
    local into=$1 flags=$2
    if [[ -n ${RUSTFLAGS:-} ]]; then
        flags=${RUSTFLAGS// /$'\x1f'}$'\x1f'$flags
    fi
    CARGO_ENCODED_RUSTFLAGS=$flags cargo build --release --locked --bin kingtide --target "$host" \
        --target-dir "$folder/$into"
}

finished() {
    local binary=$1 how=$2
    "$binary" --version >/dev/null
    printf '\n%s: %s, %s bytes, after %d s\n' "$binary" "$how" "$(stat -c %s "$binary")" "$SECONDS"
}

profdata=$(find_profdata) ||
    missing+=("llvm-profdata of LLVM $llvm (rustup component add llvm-tools, or apt-get install llvm-$llvm)")
for program in nginx openssl python3; do
    command -v "$program" >/dev/null || missing+=("$program (apt-get install $program)")
done
(($(nproc) >= 2)) || missing+=('a second core, for the target of the training')
if ((${#missing[@]} > 0)); then
    printf 'missing for a profile: %s\n' "${missing[@]}"
    step 'build without a profile'
    cargo build --release --locked --bin kingtide --target-dir "$target"
    finished "$target/release/kingtide" 'built WITHOUT a profile'
    exit 0
fi
printf 'profiles are read by %s\n' "$profdata"

step 'build with counters'
build instrumented "-Cprofile-generate=$raw"

step 'training'
rm -rf "$raw"
KINGTIDE=$folder/instrumented/$host/release/kingtide scripts/bench.sh train
"$profdata" merge -o "$profile" "$raw"
"$profdata" show "$profile"

step 'build with the profile'
# cargo does not know when the profile has changed.
rm -rf "${folder:?}/optimised"
build optimised "-Cprofile-use=$profile"
finished "$folder/optimised/$host/release/kingtide" 'built with a profile'
