#!/usr/bin/env bash
# run.sh [PYTEST-ARGUMENT…]: runs the published packages against the built daemon; README.md, beside this file.
#
# Exits with 77 and the reason where they can't be had. Environments are made once (environment.sh); all else is in
# namespaces of its own (tests/integration/isolate.sh) where this machine allows it, and goes with them.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/clients/binds.sh
. "$here/binds.sh"

if [ "${1:-}" = --here ]; then
    shift
    # Programs of sandboxes may write anywhere in the root: what they write goes with this run.
    if [ -n "$CLIENTS_ROOT" ]; then
        scratch=$(mktemp -d "${TMPDIR:-/tmp}/sandboxd-clients-XXXXXX") || exit 1
        trap 'umount -R "$scratch" 2>/dev/null; umount "$scratch" 2>/dev/null; rmdir "$scratch"' EXIT
        mount -t tmpfs clients "$scratch" && mkdir "$scratch"/{upper,work,root} &&
            mount -t overlay -o "lowerdir=$CLIENTS_ROOT,upperdir=$scratch/upper,workdir=$scratch/work" clients \
                "$scratch/root" &&
            bind_into "$scratch/root" /proc /dev /tmp "$here" || exit 1
        export CLIENTS_IMAGE=$CLIENTS_ROOT CLIENTS_ROOT=$scratch/root
    fi
    # An image of this many files is written and removed in seconds where its engine keeps it in memory.
    available=$(awk '/^MemAvailable/ {print $2}' /proc/meminfo)
    if [ -n "${SANDBOXD_ISOLATED:-}" ] && [ "$available" -gt 6000000 ]; then
        mount -t tmpfs -o size=4g,mode=700 engine "$SANDBOXD_ISOLATED" || exit 1
    fi
    python=/usr/bin/python3
    "$python" -B -m pytest -p no:cacheprovider -q -rs --rootdir "$here" "$@"
    exit
fi

found=$("$here/environment.sh") || { code=$?; echo "$found"; exit "$code"; }
eval "$found"
export CLIENTS_ROOT CLIENTS_SDK CLIENTS_APP
exec 7<"$CLIENTS_LOCK" && flock --shared 7
[ $# -gt 0 ] || set -- "$here"
# Without isolate.sh, or with less: the tests that need an engine are skipped then, with the reason.
if "$here/../integration/isolate.sh" true; then
    exec "$here/../integration/isolate.sh" "$here/run.sh" --here "$@"
elif [ -n "$CLIENTS_ROOT" ]; then
    exec unshare --mount --propagation private "$here/run.sh" --here "$@"
fi
exec "$here/run.sh" --here "$@"
