# etc/packages.sh: the one list of what sandboxd needs from apt; sourced by quickstart.sh and tests/run.sh.

BUILD_PACKAGES="gcc libc6-dev cmake ninja-build pkg-config libevent-dev libcurl4-openssl-dev
    libjson-c-dev libyaml-dev libsqlite3-dev libssl-dev"
QUICKSTART_PACKAGES="curl"
TEST_PACKAGES="libcmocka-dev clang clang-format clang-tidy llvm binutils procps curl ca-certificates openssl
    util-linux python3 python3-pytest"
# The docker backend's tests start an engine of their own, and a registry.
DOCKER_TEST_PACKAGES="docker.io docker-registry iptables iproute2"
# The tests of the published clients make a Debian 13, whose Python is new enough for these.
CLIENT_TEST_PACKAGES="mmdebstrap debian-archive-keyring"
BENCH_PACKAGES="nginx-light wrk"

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "This needs root, and there is no sudo. Run as root: $*" >&2
        return 1
    fi
}

# True where a package is installed, also when another one provides it (pkgconf: pkg-config).
package_installed() {
    dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed ||
        dpkg-query -W -f '${db:Status-Status} ${Provides}, \n' 2>/dev/null |
        grep -Eq "^installed (.*[ ,])?$1( \([^)]*\))?,"
}

# install_packages NAME…: installs those that are missing; where none is, it calls neither apt nor sudo.
install_packages() {
    missing=""
    if ! command -v dpkg-query >/dev/null; then
        echo "This is neither Debian nor Ubuntu: please see to these packages yourself: $*"
        return 0
    fi
    for package in "$@"; do
        package_installed "$package" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    echo "Installing with apt-get:$missing"
    as_root apt-get -q update
    # A machine that was just started may be upgrading itself: wait for that.
    # shellcheck disable=SC2086 # one word a package
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 install -y \
        --no-install-recommends $missing
}

# clang's sanitizer and fuzzer runtimes are a package named after its version, and only recommended by it.
install_clang_runtime() {
    if ! echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
        clang -x c -fsanitize=fuzzer,address - -o /dev/null 2>/dev/null; then
        install_packages "libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev"
    fi
}
