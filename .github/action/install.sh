#!/usr/bin/env bash
# Puts kveil on the PATH of a job: the one at KVEIL_INSTALL_PATH, or a release whose checksum stands in action.yml or was given as an input.
# A checksum from where the binary comes from would prove nothing.
set -euo pipefail

fail() {
    # What ends the line of a command is escaped: version and path are inputs.
    local text=${1//'%'/'%25'}
    text=${text//$'\r'/'%0D'}
    printf '::error title=kveil is not installed::%s\n' "${text//$'\n'/'%0A'}" >&2
    exit 1
}

# The name of the binary for this runner.
asset() {
    local system arch
    case ${RUNNER_OS:-} in
        Linux) system=linux ;;
        macOS) system=darwin ;;
        Windows) system=windows ;;
        *) fail "no binary is built for ${RUNNER_OS:-this system}: give path" ;;
    esac
    case ${RUNNER_ARCH:-} in
        X64) arch=amd64 ;;
        ARM64) arch=arm64 ;;
        *) fail "no binary is built for ${RUNNER_ARCH:-this processor}: give path" ;;
    esac
    if [ "$system-$arch" = windows-arm64 ]; then arch=amd64; fi
    printf 'kveil-%s-%s' "$system" "$arch"
    if [ "$system" = windows ]; then printf .exe; fi
}

# Paths of Windows as the shell there takes them.
slashed() {
    if [ "${RUNNER_OS:-}" = Windows ]; then printf '%s' "${1//\\//}"; else printf '%s' "$1"; fi
}

sum_of() {
    if command -v sha256sum >/dev/null; then sha256sum <"$1"; else shasum -a 256 <"$1"; fi | cut -d ' ' -f 1
}

# pinned ASSET: its checksum among the lines of action.yml.
pinned() {
    local sum name
    while read -r sum name; do
        if [ "$name" = "$1" ]; then printf '%s' "$sum"; fi
    done <<<"$KVEIL_INSTALL_CHECKSUMS"
}

# The binary, checked before it may be run.
download() {
    local version=${KVEIL_INSTALL_VERSION:-$KVEIL_INSTALL_PINNED} sum=$KVEIL_INSTALL_CHECKSUM name base folder found
    name=$(asset)
    if [ -z "$version" ]; then
        fail "this copy of the action pins no release: use a released version of it, or give path, or version and checksum"
    fi
    [[ $version =~ ^v?[0-9A-Za-z.+-]+$ ]] || fail "the input version is no version"
    if [ -z "$sum" ] && [ "$version" = "$KVEIL_INSTALL_PINNED" ]; then sum=$(pinned "$name"); fi
    [[ $sum =~ ^[0-9a-f]{64}$ ]] || fail "there is no SHA-256 for $name of $version: give checksum, 64 digits in lower case"
    base=$KVEIL_INSTALL_BASE_URL
    if [ -z "$base" ]; then
        [ -n "$KVEIL_INSTALL_REPOSITORY" ] || fail "an action of this repository itself (uses: ./) has no releases: give path or base-url"
        base=$KVEIL_INSTALL_SERVER/$KVEIL_INSTALL_REPOSITORY/releases/download
    fi
    folder=$(mktemp -d "$(slashed "$RUNNER_TEMP")/kveil-bin-XXXXXXXX")
    curl --proto '=https,file' --proto-redir '=https' -fsSL --retry 3 --max-time 300 -o "$folder/download" -- "$base/$version/$name" ||
        fail "can't download $name of $version"
    found=$(sum_of "$folder/download")
    if [ "$found" != "$sum" ]; then
        rm -f "$folder/download"
        fail "$name of $version has the SHA-256 $found, expected $sum"
    fi
    case $name in *.exe) binary=$folder/kveil.exe ;; *) binary=$folder/kveil ;; esac
    mv "$folder/download" "$binary"
    chmod 0755 "$binary"
}

binary=$(slashed "$KVEIL_INSTALL_PATH")
if [ -z "$binary" ]; then
    download
elif [ -x "$binary" ] && [ -f "$binary" ]; then
    case $binary in /* | [A-Za-z]:*) ;; *) binary=$PWD/$binary ;; esac
else
    fail "there is no program at the path $binary"
fi
case $binary in *$'\n'* | *$'\r'*) fail "the path has a line break" ;; esac
printf 'path=%s\n' "$binary" >>"$GITHUB_OUTPUT"
dirname "$binary" >>"$GITHUB_PATH"
