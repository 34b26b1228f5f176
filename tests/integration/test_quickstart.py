"""etc/quickstart.sh as a person runs it: from a clean copy of the tree, to Ctrl-C."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from harness import ROOT, alive, wait_until


@pytest.fixture(scope="module")
def tree():
    """A copy of the tree without its builds, at a path with a space in it."""
    directory = Path(tempfile.mkdtemp(prefix="sandboxd test "))
    copy = directory / "tree"

    def left_out(folder, names):
        builds = [name for name in names if name.startswith("build")] if Path(folder) == ROOT else []
        return {".git", "__pycache__", *builds}
    shutil.copytree(ROOT, copy, ignore=left_out, symlinks=True)
    # Neither is called where all packages are there.
    fakes = directory / "fakes"
    fakes.mkdir()
    for name in "apt-get", "sudo":
        (fakes / name).write_text(f"#!/bin/sh\necho {name} \"$@\" >>'{directory}/called'\nexit 1\n")
        (fakes / name).chmod(0o755)
    directory.chmod(0o755)
    yield copy
    shutil.rmtree(directory)


class Run:
    """One run of the script."""

    def __init__(self, tree, prefix=()):
        self.scratch = Path(tempfile.mkdtemp(prefix="sandboxd-test-"))
        self.scratch.chmod(0o777)
        self.output_file = self.scratch / "output"
        environment = {**os.environ, "PATH": f"{tree.parent}/fakes:{os.environ['PATH']}", "TMPDIR": str(self.scratch)}
        environment.pop("CDPATH", None)
        with open(self.output_file, "wb") as output:
            self.process = subprocess.Popen([*prefix, tree / "etc/quickstart.sh"], cwd="/", stdin=subprocess.DEVNULL,
                                            stdout=output, stderr=output, env=environment, start_new_session=True)

    @property
    def output(self):
        return self.output_file.read_text()

    def wait_serving(self):
        wait_until(lambda: "Ctrl-C stops" in self.output or self.process.poll() is not None, 280)
        assert self.process.poll() is None, self.output
        return self.output

    def made(self):
        """The directory that it made, and the processes that run in it or from it."""
        [directory] = self.scratch.glob("sandboxd-quickstart.*")
        pids = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if str(directory) in os.readlink(entry / "cwd") or \
                        str(directory).encode() in (entry / "environ").read_bytes():
                    pids.append(int(entry.name))
            except OSError:
                pass
        return directory, pids

    def interrupt(self):
        """Ctrl-C: SIGINT to the whole foreground process group."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(60)

    def end(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        shutil.rmtree(self.scratch)


def test_the_whole_way(tree):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", 3000))
            s.listen()
        except OSError:
            pass  # somebody has it already: as good
        run = Run(tree)
        try:
            output = run.wait_serving()
            assert not (tree.parent / "called").exists(), "no apt-get, no sudo"
            assert "127.0.0.1:3000 is taken" in output
            assert re.search(r"sandboxd serves on http://127\.0\.0\.1:30\d\d", output)
            sandbox_id = re.search(r"^id +([0-9A-Za-z]{22})$", output, re.M).group(1)
            assert re.search(r"^status +RUNNING$", output, re.M)
            assert re.search(r"^url +http://[\w.]+:\d+$", output, re.M)
            assert '"uptime"' in output, "the agent was asked"
            lines = re.findall(r"^curl .*$", output, re.M)
            assert len(lines) == 8 and any(sandbox_id in line for line in lines)
            for line in lines:
                result = subprocess.run(["bash", "-c", line + " -f"], capture_output=True, text=True, timeout=60,
                                        check=False)
                assert result.returncode == 0 and result.stdout, f"{line}: {result}"
            directory, pids = run.made()
            assert directory.stat().st_mode & 0o077 == 0 and len(pids) >= 2
            assert run.interrupt() == 130, run.output
            assert not directory.exists()
            wait_until(lambda: not [pid for pid in pids if alive(pid)])
        finally:
            run.end()


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("runuser"), reason="needs root, to become somebody else")
def test_as_a_user_who_is_not_root(tree):
    subprocess.run(["chown", "-R", "nobody", tree], check=True)
    run = Run(tree, ["runuser", "-u", "nobody", "--"])
    try:
        run.wait_serving()
        directory, pids = run.made()
        assert not (tree.parent / "called").exists()
        assert run.interrupt() != 0
        wait_until(lambda: not directory.exists() and not [pid for pid in pids if alive(pid)])
    finally:
        run.end()


def test_missing_packages_are_named_and_installed_with_sudo(tree):
    """The list's own functions, with a dpkg-query that knows no package."""
    fakes = tree.parent / "more fakes"
    fakes.mkdir()
    (fakes / "dpkg-query").write_text("#!/bin/sh\nexit 1\n")
    (fakes / "id").write_text("#!/bin/sh\necho 1000\n")
    for name in "sudo", "apt-get":
        (fakes / name).write_text(f"#!/bin/sh\necho {name} \"$@\" >>'{fakes}/called'\n")
    for fake in fakes.iterdir():
        fake.chmod(0o755)
    result = subprocess.run(["bash", "-c", '. "$1"; install_packages one two', "-", tree / "etc/packages.sh"],
                            env={**os.environ, "PATH": f"{fakes}:{os.environ['PATH']}"}, capture_output=True, text=True,
                            check=True)
    assert "Installing with apt-get: one two" in result.stdout
    called = (fakes / "called").read_text().splitlines()
    assert called[0].startswith("sudo apt-get") and "update" in called[0]
    assert called[1].startswith("sudo env") and called[1].endswith("one two")
