#!/bin/sh
# isolate.sh COMMAND…: runs a command with a network, processes and mounts of its own, and a scratch folder
# ($SANDBOXD_ISOLATED). A Docker Engine in there meets no other engine of this machine (bridges, iptables, ports), and
# whatever becomes of the command, nothing stays behind. Exits with the command's code; 77 where it can't be done.
set -u

skip() {
    echo "skipped: $*"
    exit 77
}

[ "$(id -u)" -eq 0 ] || skip "a Docker Engine of one's own needs root"
for program in dockerd containerd runc iptables ip unshare; do
    command -v "$program" >/dev/null || skip "there is no $program (Debian: docker.io, iptables, iproute2, util-linux)"
done
unshare --net --mount --pid --fork true 2>/dev/null || skip "namespaces can't be made here (unshare failed)"

scratch=$(mktemp -d "${TMPDIR:-/tmp}/sandboxd-docker-XXXXXX") || exit 1
SANDBOXD_ISOLATED=$scratch
export SANDBOXD_ISOLATED

clean() {
    # The engine's groups are named after the folder; each is empty by now, or will be in a moment.
    for try in 1 2 3 4 5 6 7 8 9 10; do
        find /sys/fs/cgroup -depth -type d -path "*/${scratch##*/}*" -exec rmdir {} + 2>/dev/null
        [ -n "$(find /sys/fs/cgroup -maxdepth 2 -name "${scratch##*/}" 2>/dev/null)" ] || break
        sleep 0.1
    done
    rm -rf --one-file-system "$scratch"
}
child=""
trap '[ -z "$child" ] || kill -KILL "$child" 2>/dev/null; clean' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

# The shell in there is process 1, which inherits what its children leave behind; all of it ends with the shell.
unshare --net --mount --pid --fork --kill-child --mount-proc sh -c '
    ip link set lo up || exit 1
    "$@"
    exit $?' sh "$@" &
child=$!
wait "$child"
code=$?
child=""
exit "$code"
