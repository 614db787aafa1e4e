#!/usr/bin/env bash
# pin.sh VERSION SHA256SUMS: writes the version and the checksums of its binaries into action.yml.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

version=$1 sums=$(cat -- "$2")
[[ $version =~ ^v[0-9]+\.[0-9]+\.[0-9]+([.+-][0-9A-Za-z.+-]+)?$ ]] || { echo "pin.sh: $version is no version like v1.2.3" >&2; exit 1; }

lines=
for name in linux-amd64 linux-arm64 darwin-amd64 darwin-arm64 windows-amd64.exe; do
    line=$(grep -E "^[0-9a-f]{64}  kveil-$name\$" <<<"$sums") || { echo "pin.sh: no checksum of kveil-$name in $2" >&2; exit 1; }
    lines+="          $line"$'\n'
done

work=$(mktemp)
trap 'rm -f "$work"' EXIT
LINES_OF_SUMS=${lines%$'\n'} VERSION=$version awk '
    /^ *KVEIL_INSTALL_PINNED:/ { print "        KVEIL_INSTALL_PINNED: " ENVIRON["VERSION"]; pinned++; next }
    /^ *KVEIL_INSTALL_CHECKSUMS:/ { print "        KVEIL_INSTALL_CHECKSUMS: |"; print ENVIRON["LINES_OF_SUMS"]; sums++; old = 1; next }
    old && /^          [0-9a-f]+  kveil-/ { next }
    { old = 0; print }
    END { if (pinned != 1 || sums != 1) exit 1 }
' action.yml >"$work" || { echo "pin.sh: action.yml isn't as expected" >&2; exit 1; }
cat "$work" >action.yml
