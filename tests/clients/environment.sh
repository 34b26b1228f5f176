#!/usr/bin/env bash
# environment.sh: makes what tests/clients/ needs in the cache folder, once, and prints where it is as shell variables.
# Exits with 77 and the reason where it can't be had. The network is needed only to make it.
#
#   CLIENTS_ROOT   a Debian 13 that has both environments; empty where an installed Python is used instead
#   CLIENTS_SDK    the environment of sdk.txt, a folder (in there, where there is a root)
#   CLIENTS_APP    the one of app.txt
#   CLIENTS_LOCK   a file to hold a shared flock(1) on while they are used
#
# The root serves both halves: programs of process sandboxes run in it through chroot(1), and the container image is
# made of it. An installed Python serves the first half alone, on machines where no root can be made.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sandboxd-tests/clients
packages=python3,python3-venv,ca-certificates,tmux,git,sudo,procps
# shellcheck source=tests/clients/binds.sh
. "$here/binds.sh"

say() { echo "$*" >&2; }

# Another list of packages, or another way to install them, is another environment.
key() {
    cat "$here"/{sdk,app}*.txt "$here/environment.sh" <(echo "$1") | sha256sum | cut -c1-12
}

# install PYTHON DIRECTORY NAME: an environment there, of this Python, with what NAME.txt lists.
install() {
    say "Installing what $3.txt lists for $("$1" --version)"
    "$1" -m venv "$2" >&2 &&
        "$2/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/$3.txt" \
            --constraint "$here/$3-constraints.txt" >&2
}

# What pip is told on this machine holds in the root too: its settings, certificates, and cache.
pip_paths() {
    local path
    for path in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/xdg/pip /etc/ssl/certs "$HOME/.config/pip" "$HOME/.pip" \
        "${PIP_CERT:-}" "${PIP_CONFIG_FILE:-}" "${SSL_CERT_FILE:-}" "${REQUESTS_CA_BUNDLE:-}" ${PIP_FIND_LINKS:-}; do
        [ -e "$path" ] && echo "$path"
    done
    mkdir -p "$HOME/.cache/pip" && echo "$HOME/.cache/pip"
}

# make_root ROOT: a Debian 13, the user of OpenHands' own image with its sudo, and both environments.
make_root() {
    local paths
    say "Making a Debian 13 with mmdebstrap in $1"
    mmdebstrap --quiet --variant=minbase --include="$packages" --aptopt='Acquire::Languages "none"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --customize-hook='chroot "$1" useradd --uid 10001 --create-home --shell /bin/bash openhands' \
        --customize-hook='echo "openhands ALL=(ALL) NOPASSWD:ALL" >"$1/etc/sudoers.d/openhands"' \
        --customize-hook='chroot "$1" install -d -o openhands -g openhands /workspace /workspace/project' \
        --customize-hook='printf "#!/bin/sh\nexec /opt/clients/sdk/bin/agent-server \"\$@\"\n" >"$1/usr/local/bin/openhands-agent-server"' \
        --customize-hook='chmod 755 "$1/usr/local/bin/openhands-agent-server"' \
        trixie "$1" >&2 || return 1
    mapfile -t paths < <(pip_paths)
    in_root "$1" "${paths[@]}" "$here" -- "$here/environment.sh" --in-root >&2
}

usable_python() {
    local python
    for python in ${SANDBOXD_CLIENTS_PYTHON:-python3 python3.15 python3.14 python3.13 python3.12}; do
        # Names on PATH may be shims that run nothing, and Debian's Python may lack its ensurepip.
        if "$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then
            "$python" -c 'import sys; print(sys.executable)'
            return 0
        fi
    done
    return 1
}

# complete DIRECTORY MAKER ARGUMENT…: what MAKER makes in DIRECTORY is there whole or not at all.
complete() {
    local directory=$1
    shift
    [ ! -d "$directory" ] || return 0
    rm -rf --one-file-system "$cache"/*.part
    "$@" && touch "$directory.part/.made" && mv "$directory.part" "$directory" && remove_others "$directory"
}

# Those of other lists are of no use any more, unless somebody runs tests in them just now.
remove_others() {
    local other
    for other in "${1%-*}"-*/.made; do
        [ "$other" = "$1/.made" ] || flock --exclusive --nonblock "$other" rm -rf --one-file-system "${other%/.made}"
    done
    return 0
}

make_environments() {
    install "$1" "$2/sdk" sdk && install "$1" "$2/app" app
}

if [ "${1:-}" = --in-root ]; then
    make_environments python3 /opt/clients
    exit
fi

mkdir -p "$cache" || exit 1
exec 8>"$cache/lock"
flock 8
why="there is no root, which needs root rights and mmdebstrap (Debian: mmdebstrap)"
if [ -z "${SANDBOXD_CLIENTS_PYTHON:-}" ] && [ "$(id -u)" -eq 0 ] && command -v mmdebstrap >/dev/null; then
    root=$cache/root-$(key root)
    if complete "$root" make_root "$root.part"; then
        printf 'CLIENTS_ROOT=%q CLIENTS_SDK=/opt/clients/sdk CLIENTS_APP=/opt/clients/app CLIENTS_LOCK=%q\n' \
            "$root" "$root/.made"
        exit 0
    fi
    why="no Debian 13 could be made with the packages in it (above)"
fi
if ! python=$(usable_python); then
    echo "skipped: $why, and no Python 3.12 or newer is installed"
    exit 77
fi
environments=$cache/python-$(key "$python $("$python" --version)")
# Environments know their own path, so they are made where they stay.
if [ ! -e "$environments/.made" ]; then
    rm -rf --one-file-system "$environments"
    if ! make_environments "$python" "$environments"; then
        echo "skipped: the packages could not be installed (above)"
        exit 77
    fi
    touch "$environments/.made"
    remove_others "$environments"
fi
printf 'CLIENTS_ROOT= CLIENTS_SDK=%q CLIENTS_APP=%q CLIENTS_LOCK=%q\n' \
    "$environments/sdk" "$environments/app" "$environments/.made"
