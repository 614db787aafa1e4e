#!/usr/bin/env bash
# Runs every test. Names and checks what it needs, installs the pinned peers into ${CARGO_TARGET_DIR:-target}/tools, runs
# `cargo test`. Arguments go to `cargo test`.
#
# What is missing is ignored with a line; with CI set it is a failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly SOPS=v3.13.3 AGE=v1.3.2 KUSTOMIZE=v5.8.2 HELM3=v3.22.0 HELM4=v4.3.1 ACTIONLINT=v1.7.12 ZIZMOR=1.32.0 PRE_COMMIT=4.7.0

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

# peer BINARY MODULE PACKAGE VERSION: the binary itself says which version it is; another one is replaced. It may have
# another name than its package.
peer() {
    local file=$KVEIL_TOOLS/bin/$1 made
    if [ -x "$file" ] && go version -m "$file" | grep -qE "^[[:space:]]+mod[[:space:]]+$2[[:space:]]+$4([[:space:]]|\$)"; then
        return
    fi
    say "installing $1 $4"
    made=$(mktemp -d "$KVEIL_TOOLS/bin.XXXXXX")
    if GOBIN=$made GOFLAGS=-mod=mod go install "$3@$4"; then
        mv "$made"/* "$file"
    else
        missing "$1 $4" "go could not install it"
    fi
    rm -rf "$made"
}

install_peers() {
    if ! have go; then
        missing go "the peers (sops, age and its plugins, kustomize, Helm) are built with it"
        return
    fi
    peer sops github.com/getsops/sops/v3 github.com/getsops/sops/v3/cmd/sops "$SOPS"
    peer kustomize sigs.k8s.io/kustomize/kustomize/v5 sigs.k8s.io/kustomize/kustomize/v5 "$KUSTOMIZE"
    peer helm3 helm.sh/helm/v3 helm.sh/helm/v3/cmd/helm "$HELM3"
    peer helm4 helm.sh/helm/v4 helm.sh/helm/v4/cmd/helm "$HELM4"
    local program
    for program in cmd/age cmd/age-keygen cmd/age-plugin-batchpass extra/age-plugin-pq extra/age-plugin-tag; do
        peer "${program##*/}" filippo.io/age "filippo.io/age/$program" "$AGE"
    done
}

# What looks at the workflows, and the framework that runs our hooks: actionlint also looks at scripts, where shellcheck is there.
install_linters() {
    if have go; then
        peer actionlint github.com/rhysd/actionlint github.com/rhysd/actionlint/cmd/actionlint "$ACTIONLINT"
    fi
    have python3 || return 0
    local venv=$KVEIL_TOOLS/linters-venv made="zizmor==$ZIZMOR pre-commit==$PRE_COMMIT"
    if stamped "$venv" "$made"; then
        return
    fi
    say "installing $made"
    # shellcheck disable=SC2086 # two packages
    if rm -rf "$venv" && python3 -m venv "$venv" && "$venv/bin/pip" install --quiet $made; then
        printf '%s\n' "$made" >"$venv.stamp"
    else
        rm -rf "$venv"
        missing "$made" "pip could not install them"
    fi
}

# stamped FILE TEXT: whether FILE was made from just this.
stamped() { [ -e "$1" ] && [ "$(cat "$1.stamp" 2>/dev/null)" = "$2" ]; }

# The packages that the servers of the tests need.
install_venv() {
    have python3 || return 0
    local venv=$KVEIL_TOOLS/servers-venv made
    made=$({ cat tests/servers/requirements.txt; python3 --version; } | cksum)
    if stamped "$venv" "$made"; then
        return
    fi
    say "installing what the servers of the tests need"
    if rm -rf "$venv" && python3 -m venv "$venv" && "$venv/bin/pip" install --quiet -r tests/servers/requirements.txt; then
        printf '%s\n' "$made" >"$venv.stamp"
    else
        rm -rf "$venv"
        missing servers-venv "pip could not install tests/servers/requirements.txt"
    fi
}

# The real Vault, as a library in a program of the tests.
install_vault() {
    have go || return 0
    local vault=$KVEIL_TOOLS/bin/vaultsrv made
    made=$({ cat tests/servers/vault/{main.go,go.mod,go.sum}; go env GOVERSION; } | cksum)
    if stamped "$vault" "$made"; then
        return
    fi
    say "building Vault (some minutes, once)"
    if (cd tests/servers/vault && go build -mod=mod -ldflags='-s -w' -o "$vault" .); then
        printf '%s\n' "$made" >"$vault.stamp"
    else
        missing vaultsrv "go could not build tests/servers/vault"
    fi
}

have cargo || { say "cargo is missing: install Rust" >&2; exit 1; }
have git || missing git "some tests work in a repository of their own"
have python3 || missing python3 "the benchmark, a plugin of the tests, their terminal and their servers are Python programs"
have gpg || missing gpg "PGP recipients are tested with it"
have vim || missing vim "what an editor leaves behind is tested with it"
install_peers
install_linters
install_venv
install_vault

locked=()
[ -z "${CI:-}" ] || locked=(--locked)
cargo build ${locked[@]+"${locked[@]}"}
tested=0
cargo test --no-fail-fast ${locked[@]+"${locked[@]}"} "$@" 2>&1 | tee "$log" || tested=$?

# The sum of what `cargo test` printed, in one line that people and CI can read.
awk '/^test result:/ { passed += $4; failed += $6 } END { printf "%d passed, %d failed\n", passed, failed }' "$log"
exit $tested
