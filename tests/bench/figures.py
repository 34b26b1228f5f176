"""What the benchmarks share: one line a figure with the bound that it is to keep, and wrk."""

import re
import statistics
import subprocess
import sys
import time

SMOKE = "--smoke" in sys.argv
SECONDS = 1 if SMOKE else 4
CONNECTIONS = 8
failed = []


def figure(name, text, kept=None):
    """One line; `kept` says whether the bound that the text names is kept. None: it names none."""
    verdict = "" if SMOKE or kept is None else "  ok" if kept else "  NOT KEPT"
    print(f"{name:<22} {text}{verdict}", flush=True)
    if kept is False:
        failed.append(name)


def skipped(name, reason):
    print(f"{name:<22} skipped: {reason}", flush=True)


def finish():
    sys.exit(1 if failed and not SMOKE else 0)


def milliseconds(call, count):
    """The times of `count` calls, in order of size."""
    return sorted(timed(call) for _ in range(count))


def timed(call):
    begun = time.perf_counter()
    call()
    return (time.perf_counter() - begun) * 1000


def middle(numbers):
    return statistics.median(numbers)


def wrk(url, seconds=SECONDS):
    """Requests a second, and the p99 in ms."""
    out = subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", url], check=True,
                         capture_output=True, text=True).stdout
    assert "Non-2xx" not in out and "Socket errors" not in out, out
    rate = float(re.search(r"Requests/sec: +([\d.]+)", out).group(1))
    number, unit = re.search(r"99% +([\d.]+)(us|ms|s)", out).groups()
    return rate, float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]
