#!/usr/bin/env bash
# tests/bench/run.sh: builds, and prints one line a figure, each beside its floor or peer from the same run.
# Ends with 0 when every figure keeps its bound. About a minute; the machine should have nothing else to do.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=etc/packages.sh
. "$root/etc/packages.sh"
# shellcheck disable=SC2086 # one word a package
install_packages $BUILD_PACKAGES $TEST_PACKAGES $BENCH_PACKAGES
cmake -S "$root" -B "$root/build" -G Ninja -DSANDBOXD_TESTS=ON >/dev/null
cmake --build "$root/build" >/dev/null
SANDBOXD_BUILD=$root/build exec /usr/bin/python3 -B "$root/tests/bench/bench.py" "$@"
