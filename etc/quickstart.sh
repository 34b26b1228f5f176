#!/usr/bin/env bash
# etc/quickstart.sh: from a fresh Debian 12 or 13 or Ubuntu 24.04 to a running sandbox, in one command.
#
# Installs what the build needs, builds in build/, starts the daemon on 127.0.0.1:3000 with etc/quickstart.yaml,
# starts a sandbox and talks to its agent. Serves until Ctrl-C, which removes everything but the build.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=etc/packages.sh
. "$root/etc/packages.sh"

say() { printf '\n== %s\n' "$*"; }

daemon=""
dir=""
clean_up() {
    trap - EXIT
    trap '' INT TERM HUP PIPE # a reader such as tee may be gone by the same Ctrl-C
    if [ -n "$daemon" ]; then
        say "Stopping: sandboxd removes its sandboxes" 2>/dev/null || true
        kill -TERM "$daemon" 2>/dev/null || true
        wait "$daemon" 2>/dev/null || true
    fi
    if [ -n "$dir" ]; then
        # Only where the daemon was killed is there something left of the sandboxes.
        for process in /proc/[0-9]*; do
            case "$(readlink "$process/cwd" 2>/dev/null || true)" in
            "$dir"/*) kill -KILL "${process#/proc/}" 2>/dev/null || true ;;
            esac
        done
        rm -rf "$dir"
    fi
}

fail() {
    echo "quickstart: $*" >&2
    [ -z "$dir" ] || [ ! -s "$dir/log" ] || { echo "The daemon's log:" >&2; cat "$dir/log" >&2; }
    exit 1
}

# The value of a text member of a JSON object.
member() { sed -n "s/.*[{,] *\"$1\": *\"\([^\"]*\)\".*/\1/p" | head -n 1; }

# A proxy that the environment names is not for what runs here.
ask() { curl -sS --noproxy '*' "$@"; }

# Is somebody listening there?
taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

say "Packages"
# shellcheck disable=SC2086 # one word a package
install_packages $BUILD_PACKAGES $QUICKSTART_PACKAGES

say "Building in $root/build"
# The tests need more packages; a build directory that has them keeps them.
[ -f "$root/build/CMakeCache.txt" ] || options=-DSANDBOXD_TESTS=OFF
cmake -S "$root" -B "$root/build" -G Ninja ${options:+"$options"} >/dev/null
cmake --build "$root/build" --target sandboxd plugin_process sandbox-agent

trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
dir=$(mktemp -d "${TMPDIR:-/tmp}/sandboxd-quickstart.XXXXXX")
export QUICKSTART_DIR=$dir QUICKSTART_AGENT=$root/build/bin/sandbox-agent

# The port may be taken between the look and the daemon's own attempt: then it says so, and the next is tried.
start_daemon() {
    while [ "$port" -le 3100 ]; do
        if ! taken "$port"; then
            : >"$dir/log"
            QUICKSTART_PORT=$port "$root/build/bin/sandboxd" --config "$root/etc/quickstart.yaml" \
                </dev/null 2>"$dir/log" &
            daemon=$!
            while kill -0 "$daemon" 2>/dev/null; do
                ! grep -qw ready "$dir/log" || return 0
                sleep 0.05
            done
            wait "$daemon" || true
            daemon=""
            taken "$port" || fail "the daemon did not start"
        fi
        echo "127.0.0.1:$port is taken, trying $((port + 1))"
        port=$((port + 1))
    done
    fail "no free port from 3000 to 3100"
}

say "Starting sandboxd"
port=3000
start_daemon
api=http://127.0.0.1:$port/api/v1
echo "sandboxd serves on http://127.0.0.1:$port; its log is $dir/log"

say "Starting a sandbox"
sandbox=$(ask --max-time 60 -X POST "$api/sandboxes?wait=30s") || fail "the daemon did not answer"
id=$(member id <<<"$sandbox")
status=$(member status <<<"$sandbox")
url=$(member url <<<"$sandbox")
[ "$status" = RUNNING ] || fail "the sandbox is not running: $sandbox"
echo "id      $id"
echo "status  $status"
echo "url     $url"

say "Asking its agent: $url/server_info"
ask --max-time 10 "$url/server_info" || fail "the agent did not answer"

cat <<END


== Go on with
curl -s '$api/sandboxes/search'
curl -s '$api/sandboxes/$id'
curl -s '$api/sandboxes/$id/logs?tail=20'
curl -s -X POST '$api/sandboxes/$id/pause'
curl -s -X POST '$api/sandboxes/$id/resume'
curl -s -X POST '$api/sandboxes?wait=10s'
curl -s -X DELETE '$api/sandboxes/$id'
curl -s 'http://127.0.0.1:$port/metrics'

Ctrl-C stops the daemon and removes what was made here.
END

result=0
wait "$daemon" || result=$?
daemon=""
fail "the daemon ended by itself with $result"
