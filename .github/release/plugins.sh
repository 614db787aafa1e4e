#!/usr/bin/env bash
# plugins.sh KVEIL DIR: packs what `kveil helm install-plugin` writes, one archive for folders that Helm 3 reads and one for Helm 4 alone. The program
# in them is KVEIL.
set -euo pipefail

program=$(realpath -- "$1") to=$(realpath -- "$2")
chmod +x "$program"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# pack NAME [FLAG…]: what is installed into an empty folder.
pack() {
    local name=$1
    shift
    mkdir -p "$work/$name/home"
    # Whatever Helm the machine has isn't the one that the archive is for.
    HOME=$work/$name/home "$program" helm install-plugin --helm false --directory "$work/$name/plugins" "$@" >/dev/null
    tar --create --gzip --dereference --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --mtime=@0 \
        --directory "$work/$name/plugins" --file "$to/kveil-$name-linux-amd64.tar.gz" .
}

pack helm-plugins
pack helm4-plugins --helm4-only
