#!/usr/bin/env bash
# tests/run.sh: installs what the tests need, builds, and runs all of them. Twenty to thirty minutes on two cores.
#
#   build/       the normal build: unit and integration tests, lints (clang-tidy among them)
#   build-asan/  the whole suite again under AddressSanitizer, leaks included, and UndefinedBehaviorSanitizer
#   build-tsan/  what runs on threads, under ThreadSanitizer
#   build-fuzz/  each fuzz target over its corpus and then on its own: FUZZ_SECONDS (60) shared by all of them
#   clients      the published packages against the normal build: tests/clients/README.md
#
# The docker backend's tests run on an engine of their own, which they start and end themselves; where that can't be,
# they count as skipped, and each says why.
#
# Ends with a line that counts the tests of all five, and with 0 only when none failed. It goes on after a
# failure, so that one run tells everything.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1
# shellcheck source=etc/packages.sh
. etc/packages.sh
exec </dev/null
export LC_ALL=C.UTF-8
jobs=$(nproc)
tests_at_once=$((2 * jobs)) # most of their time they wait
# The sanitizers of some releases can't cope with addresses as random as some kernels make them.
layout=""
! setarch -R true 2>/dev/null || layout="setarch -R"
passed=0 failed=0 skipped=0
started=$SECONDS
declare -a summary

say() { printf '\n==== %s (%d s)\n' "$*" $((SECONDS - started)); }

# count NAME PASSED FAILED SKIPPED: one line of the summary.
count() {
    passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
    summary+=("$(printf '%-12s %4d passed %4d failed %4d skipped' "$1" "$2" "$3" "$4")")
}

# build DIRECTORY OPTION…: configures and builds; a failure counts as one failed test.
build() {
    local directory=$1
    shift
    say "Building in $directory/"
    cmake -S . -B "$directory" -G Ninja "$@" >"$directory.log" 2>&1 &&
        cmake --build "$directory" -j "$jobs" >>"$directory.log" 2>&1 && rm "$directory.log" && return 0
    tail -n 60 "$directory.log"
    rm "$directory.log"
    count "$directory" 0 1 0
    return 1
}

# test_in DIRECTORY CTEST-OPTION…: runs CTest there and counts its JUnit report.
test_in() {
    local directory=$1 report
    shift
    say "Testing $directory/"
    report=$PWD/$directory/report.xml
    rm -f "$report"
    # shellcheck disable=SC2086 # a command with its options, or nothing
    $layout ctest --test-dir "$directory" -j "$tests_at_once" --no-tests=error --output-on-failure --output-junit "$report" "$@"
    if [ -f "$report" ]; then
        local run fail skip
        run=$(grep -c '<testcase ' "$report")
        fail=$(grep -Ec '<testcase .*status="fail"' "$report")
        skip=$(grep -Ec '<testcase .*status="(notrun|disabled)"' "$report")
        count "$directory" $((run - fail - skip)) "$fail" "$skip"
        # CTest shows nothing of what was skipped: each reason once.
        sed -nE 's/^\t*(<system-out>)?(skipped: |SKIPPED )/\2/p' "$report" | sort -u
    else
        count "$directory" 0 1 0
    fi
}

# Each target's seeds as they are, then some time of its own beginning from them. What it finds is kept in
# build-fuzz/found/, and becomes a file of the corpus once the crash is fixed.
fuzz() {
    local targets=(build-fuzz/bin/fuzz_*) good=0 bad=0 name share
    say "Fuzzing for ${FUZZ_SECONDS:-60} s"
    mkdir -p build-fuzz/found
    share=$((${FUZZ_SECONDS:-60} / ${#targets[@]}))
    for target in "${targets[@]}"; do
        name=${target##*/fuzz_}
        mkdir -p "build-fuzz/corpus/$name"
        if "$target" "tests/fuzz/corpus/$name"/* >"build-fuzz/$name.log" 2>&1 &&
            "$target" -max_total_time="$((share > 0 ? share : 1))" -timeout=5 -rss_limit_mb=1024 -verbosity=0 \
                -print_final_stats=1 -artifact_prefix="build-fuzz/found/$name-" \
                "build-fuzz/corpus/$name" "tests/fuzz/corpus/$name" >>"build-fuzz/$name.log" 2>&1; then
            good=$((good + 1))
            echo "fuzz_$name: $(sed -n 's/stat::number_of_executed_units: *//p' "build-fuzz/$name.log") inputs, no crash"
        else
            bad=$((bad + 1))
            echo "fuzz_$name FAILED"
            tail -n 40 "build-fuzz/$name.log"
        fi
    done
    count fuzz "$good" "$bad" 0
}

# Debian's engine, registry and nginx, where this machine has none and they can be had. No more of them is needed than
# their programs: their services stay as they are, and are not started where they are new.
install_servers() (
    policy=/usr/sbin/policy-rc.d
    PATH=$PATH:/usr/sbin
    wanted=""
    command -v docker-registry >/dev/null || wanted="docker-registry iptables iproute2"
    command -v dockerd >/dev/null || wanted=$DOCKER_TEST_PACKAGES # else somebody's dockerd stays
    command -v nginx >/dev/null || wanted+=" nginx-light"
    [ -n "$wanted" ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        echo "Not installed without root, so that tests are skipped: $wanted"
        return 0
    fi
    if [ ! -e "$policy" ]; then # invoke-rc.d(8): 101 is no
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
    fi
    # shellcheck disable=SC2086 # one word a package
    install_packages $wanted || echo "Not installed, so that tests are skipped: $wanted"
)

# The published packages, with the normal build. One test where they can't be had: skipped, with the reason.
clients() {
    local report=$PWD/build/clients.xml totals
    say "Testing the published clients"
    command -v mmdebstrap >/dev/null || [ "$(id -u)" -ne 0 ] ||
        install_packages $CLIENT_TEST_PACKAGES || echo "Not installed: $CLIENT_TEST_PACKAGES"
    rm -f "$report"
    SANDBOXD_BUILD=$PWD/build timeout 1500 tests/clients/run.sh --junitxml="$report" tests/clients
    if [ $? -eq 77 ] && [ ! -f "$report" ]; then
        count clients 0 0 1
        return
    fi
    # pytest counts them in the element around all.
    number() { sed -nE "s/.*<testsuite [^>]*$1=\"([0-9]+)\".*/\1/p" "$report" 2>/dev/null; }
    totals=$(number tests)
    if [ -z "$totals" ]; then
        count clients 0 1 0
    else
        local bad=$(($(number errors) + $(number failures))) left=$(number skipped)
        count clients $((totals - bad - left)) "$bad" "$left"
    fi
}

say "Packages"
# shellcheck disable=SC2086 # one word a package
install_packages $BUILD_PACKAGES $TEST_PACKAGES && install_clang_runtime || exit 1
install_servers

if build build -DSANDBOXD_TESTS=ON; then
    test_in build
    clients
fi

# The lints look at the sources, and have had their turn.
export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1
export UBSAN_OPTIONS=print_stacktrace=1
if build build-asan -DSANDBOXD_TESTS=ON -DSANDBOXD_SANITIZE=address,undefined; then
    test_in build-asan -LE lint
fi

export TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1:suppressions='$root/tests/tsan.supp'"
if build build-tsan -DSANDBOXD_TESTS=ON -DSANDBOXD_SANITIZE=thread; then
    test_in build-tsan -R '^unit\.(base|store|net|plugin|mirror)|^integration\.(lifecycle|reload|ten_thousand_events)$'
fi

if build build-fuzz -DCMAKE_C_COMPILER=clang -DSANDBOXD_TESTS=ON -DSANDBOXD_FUZZ=ON \
    -DSANDBOXD_SANITIZE=address,undefined; then
    fuzz
fi

say "Summary"
printf '%s\n' "${summary[@]}"
if [ "$skipped" -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ]
