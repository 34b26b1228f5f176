"""What the daemon tells systemd (sd_notify(3)), over a socket of the test's own."""

import os
import signal
import socket
from pathlib import Path

import pytest


@pytest.fixture
def notified(make_daemon):
    daemon = make_daemon()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(daemon.directory / "notify"))
    listener.settimeout(20)
    daemon.env["NOTIFY_SOCKET"] = str(daemon.directory / "notify")

    def until(line):
        """Reads messages until one has this line; all lines that came."""
        lines = []
        while line not in lines:
            lines += listener.recv(4096).decode().splitlines()
        return lines
    daemon.until = until
    yield daemon
    listener.close()


def test_ready_reloading_stopping(notified):
    notified.start()
    notified.until("READY=1")
    notified.process.send_signal(signal.SIGHUP)
    lines = notified.until("READY=1")
    assert "RELOADING=1" in lines and any(line.startswith("MONOTONIC_USEC=") for line in lines)
    notified.config_file.write_text("wrong: [")
    notified.process.send_signal(signal.SIGHUP)
    assert "RELOADING=1" in notified.until("READY=1"), "ready again, on the old generation"
    assert notified.stop() == 0
    notified.until("STOPPING=1")


def test_the_watchdog_is_fed(notified):
    notified.env["WATCHDOG_USEC"] = "200000"
    notified.start()
    for _ in range(3):
        notified.until("WATCHDOG=1")


def test_the_watchdog_of_another_process_is_not(notified):
    notified.env["WATCHDOG_USEC"], notified.env["WATCHDOG_PID"] = "100000", str(os.getpid())
    notified.start()
    notified.process.terminate()
    assert "WATCHDOG=1" not in notified.until("STOPPING=1")
    assert notified.process.wait(20) == 0


def test_it_is_not_passed_on_to_sandboxes(notified):
    notified.start()
    notified.start_sandbox()
    for pid in notified.processes():
        assert b"NOTIFY_SOCKET" not in Path(f"/proc/{pid}/environ").read_bytes()
