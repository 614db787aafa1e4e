#!/usr/bin/env bash
# Runs every test. Names and checks what it needs, installs the pinned peers into ${CARGO_TARGET_DIR:-target}/tools, runs
# `cargo test` and then the replays of KVEIL_REPLAYS, if that names a folder that has them. Arguments go to `cargo test`.
#
# What is missing is ignored with a line; with CI set it is a failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly SOPS=v3.13.3 AGE=v1.3.2 PYYAML=6.0.3

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
mkdir -p "$CARGO_TARGET_DIR/tools/bin"
CARGO_TARGET_DIR=$(cd "$CARGO_TARGET_DIR" && pwd)
export KVEIL_TOOLS=$CARGO_TARGET_DIR/tools
log=$(mktemp)

# shellcheck disable=SC2317 # the trap calls it
stop() {
    local started
    started=$(jobs -p)
    # shellcheck disable=SC2086 # one word a process
    [ -z "$started" ] || kill $started 2>/dev/null || true
    rm -f "$log"
}
trap stop EXIT

say() { printf 'run.sh: %s\n' "$*"; }

# missing WHAT WHY: ends the run in CI, is a line elsewhere.
missing() {
    if [ -n "${CI:-}" ]; then
        say "$1 is missing: $2" >&2
        exit 1
    fi
    say "ignored: $1 is missing: $2"
}

have() { command -v "$1" >/dev/null; }

# peer BINARY MODULE PACKAGE VERSION: the binary itself says which version it is; another one is replaced.
peer() {
    local file=$KVEIL_TOOLS/bin/$1
    if [ -x "$file" ] && go version -m "$file" | grep -qE "^[[:space:]]+mod[[:space:]]+$2[[:space:]]+$4([[:space:]]|\$)"; then
        return
    fi
    say "installing $1 $4"
    GOBIN=$KVEIL_TOOLS/bin GOFLAGS=-mod=mod go install "$3@$4" || missing "$1 $4" "go could not install it"
}

install_peers() {
    if ! have go; then
        missing go "the peers sops and age-keygen are built with it"
        return
    fi
    peer sops github.com/getsops/sops/v3 github.com/getsops/sops/v3/cmd/sops "$SOPS"
    peer age-keygen filippo.io/age filippo.io/age/cmd/age-keygen "$AGE"
}

install_pyyaml() {
    export PYTHONPATH=$KVEIL_TOOLS/python
    python3 -c "import sys, yaml; sys.exit(yaml.__version__ != '$PYYAML')" 2>/dev/null && return
    rm -rf "$PYTHONPATH"
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target "$PYTHONPATH" "pyyaml==$PYYAML"
}

replay() {
    local from=$1 kveil=$CARGO_TARGET_DIR/debug/kveil sops=$KVEIL_TOOLS/bin/sops keygen=$KVEIL_TOOLS/bin/age-keygen cases
    # Left out: kinds of recipient, formats and verbs that this version doesn't have; and four cases in which that replay expects
    # a part of a key or of a clear date to be hidden, raw line separators to be taken, or the whole file from --extract.
    cases='^(?!op_|dotenv|ini_|binary|yaml_to_dotenv_output|age_and_pgp|pgp|ssh|keys_odd|yes_no_unencrypted|unicode_emoji|extract_value)'
    say "replay.py"
    only=$cases python3 "$from/replay.py" "$kveil" "$sops" "$from/sops"
    say "replay_scalars.py"
    python3 "$from/replay_scalars.py" "$kveil" "$sops" "$keygen" "$from/scalars.tsv"
    say "replay_corpus.py"
    python3 "$from/replay_corpus.py" "$kveil" "$sops" "$keygen" "$from/yaml-test-suite"
}

have cargo || { say "cargo is missing: install Rust" >&2; exit 1; }
have git || missing git "some tests work in a repository of their own"
have python3 || missing python3 "the memory benchmark and the replays are Python programs"
install_peers

locked=()
[ -z "${CI:-}" ] || locked=(--locked)
cargo build ${locked[@]+"${locked[@]}"}
tested=0
cargo test --no-fail-fast ${locked[@]+"${locked[@]}"} "$@" 2>&1 | tee "$log" || tested=$?

if [ -n "${KVEIL_REPLAYS:-}" ] && [ $tested = 0 ]; then
    if have python3 && have go && install_pyyaml; then
        replay "$KVEIL_REPLAYS" || tested=$?
    else
        missing "Python 3 with PyYAML, or Go" "the replays need both"
    fi
fi

# The sum of what `cargo test` printed, in one line that people and CI can read.
awk '/^test result:/ { passed += $4; failed += $6 } END { printf "%d passed, %d failed\n", passed, failed }' "$log"
exit $tested
