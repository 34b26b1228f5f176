#!/usr/bin/env bash
# tests/bench/run.sh [--smoke] [PART…]: builds, and prints one line a figure, each beside its floor or peer from the
# same run. Ends with 0 when every figure keeps its bound. The parts are those of bench.py (starts, reads, hanging, many,
# remote, events, pages, memory, idle; some two minutes) and `docker` (some five minutes more; needs root and Debian's docker.io,
# and says so where it can't run). The machine should have nothing else to do.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=etc/packages.sh
. "$root/etc/packages.sh"

smoke="" docker="" parts=()
for argument in "$@"; do
    case $argument in
    --smoke) smoke=--smoke ;;
    docker) docker=1 ;;
    *) parts+=("$argument") ;;
    esac
done

# shellcheck disable=SC2086 # one word a package
install_packages $BUILD_PACKAGES $TEST_PACKAGES $BENCH_PACKAGES
cmake -S "$root" -B "$root/build" -G Ninja -DSANDBOXD_TESTS=ON >/dev/null
cmake --build "$root/build" >/dev/null
export SANDBOXD_BUILD=$root/build

result=0
if [ ${#parts[@]} -gt 0 ] || [ -z "$docker" ]; then
    /usr/bin/python3 -B "$root/tests/bench/bench.py" $smoke "${parts[@]}" || result=$?
fi
if [ ${#parts[@]} -eq 0 ] || [ -n "$docker" ]; then
    [ "$(id -u)" -ne 0 ] || command -v dockerd >/dev/null || install_packages docker.io iptables iproute2
    "$root/tests/integration/isolate.sh" /usr/bin/python3 -B "$root/tests/bench/docker_bench.py" $smoke ||
        { code=$?; [ $code -eq 77 ] || result=$code; }
fi
exit "$result"
