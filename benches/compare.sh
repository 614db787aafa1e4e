#!/usr/bin/env bash
# Builds the release binary, makes the inputs, runs kveil and its peers in the same hour and prints medians and their ratios.
# usage: benches/compare.sh [--with-rops] [--quick] [--rows REGEX]
#   --with-rops   the Rust peer too (installed when missing, some minutes)
#   --quick       no row on which a peer needs more than ten seconds
#   --rows REGEX  only the rows whose name matches
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly SOPS=v3.13.3 AGE=v1.3.2 ROPS=0.1.7 KUSTOMIZE=v5.8.2
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
mkdir -p "$CARGO_TARGET_DIR"
CARGO_TARGET_DIR=$(cd "$CARGO_TARGET_DIR" && pwd)
tools=${KVEIL_TOOLS:-$CARGO_TARGET_DIR/tools}
mkdir -p "$tools/bin"
tools=$(cd "$tools" && pwd)

arguments=()
while [ $# -gt 0 ]; do
    case $1 in
        --with-rops)
            [ -x "$tools/bin/rops" ] || CARGO_TARGET_DIR=$tools/build cargo install "rops-cli@$ROPS" --locked --root "$tools"
            arguments+=(--rops "$tools/bin/rops")
            ;;
        --quick) arguments+=(--quick) ;;
        --rows)
            arguments+=(--rows "$2")
            shift
            ;;
        *)
            sed -n '2,7s/^# //p' "${BASH_SOURCE[0]}" >&2
            exit 2
            ;;
    esac
    shift
done

[ -x "$tools/bin/sops" ] || GOBIN=$tools/bin go install "github.com/getsops/sops/v3/cmd/sops@$SOPS"
[ -x "$tools/bin/age-keygen" ] || GOBIN=$tools/bin go install "filippo.io/age/cmd/age-keygen@$AGE"
# The key services of the tests, if tests/run.sh has installed what they need.
[ ! -x "$tools/servers-venv/bin/python" ] || arguments+=(--servers "$tools/servers-venv/bin/python")
[ -x "$tools/bin/kustomize" ] || GOBIN=$tools/bin go install "sigs.k8s.io/kustomize/kustomize/v5@$KUSTOMIZE"
cargo build --release --quiet
(cd benches/spawn && go build -o "$tools/bin/kveil-bench-spawn" .)
exec python3 benches/compare.py --spawn "$tools/bin/kveil-bench-spawn" --kveil "$CARGO_TARGET_DIR/release/kveil" --sops "$tools/bin/sops" --keygen "$tools/bin/age-keygen" \
    --kustomize "$tools/bin/kustomize" \
    ${arguments[@]+"${arguments[@]}"}
