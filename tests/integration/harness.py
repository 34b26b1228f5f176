"""Runs the built daemon as an operator would, talks to it as a client would, and sees what it leaves behind.

Nothing here sleeps for a fixed time: wait_until() looks again until a condition holds. A daemon's files are all in one
private directory; its sandboxes carry a mark in their environment, by which every process of theirs is found.
"""

import contextlib
import http.client
import itertools
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("SANDBOXD_BUILD", ROOT / "build")).resolve()
SANDBOXD = BUILD / "bin/sandboxd"
AGENT = BUILD / "bin/sandbox-agent"
TEST_PLUGINS = BUILD / "tests/plugins"
SANITIZED = os.environ.get("SANDBOXD_SANITIZE", "")
# Sanitizers make everything slower: bounds on time, not on behaviour, are multiplied by this.
SLOWER = 5 if SANITIZED else 1
READ_ANSWERED = re.compile(r": GET /\S+ 200 in [0-9]+ us$")
TIMEOUT = 60 * (2 if SANITIZED else 1)  # only what fails waits that long

READY = re.compile(r"\bready\b")
ADDRESS = re.compile(r"\[::1\]:\d+|127\.0\.0\.1:\d+|unix:[^\s,\"]+")
SANITIZER = re.compile(r"(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:")
MARK = "SANDBOXD_TEST_MARK"
PORTS = itertools.count()


def wait_until(condition, timeout=TIMEOUT, what=None):
    """The first true value of condition(); fails after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    pause = 0.001
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what or condition.__doc__ or condition}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def free_port():
    """A port that is free, also when who has it is down for a while: the kernel gives it nobody by itself (ip(7),
    ip_local_port_range), and tests that run at once mostly take others."""
    while True:
        port = 4000 + os.getpid() % 200 * 30 + next(PORTS) % 30
        with contextlib.suppress(OSError), socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.1", port))
            return port


def paths_below(directory, of=lambda path: path):
    """of(path) for each path below it. What vanishes meanwhile is left out, where Path.rglob() fails."""
    found = []
    for place, directories, files in os.walk(directory):
        for name in (*directories, *files):
            with contextlib.suppress(FileNotFoundError):
                found.append(of(Path(place, name)))
    return found


def alive(pid):
    """Is it there, and not a zombie that somebody has yet to reap?"""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat[stat.rindex(")") + 2] not in "ZX"


def process_state(pid):
    """The letter of proc(5): S sleeping, T stopped, …"""
    stat = Path(f"/proc/{pid}/stat").read_text()
    return stat[stat.rindex(")") + 2]


def marked(mark):
    """The pids of all processes with this mark in their environment."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                environment = Path(entry.path, "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if wanted in environment and alive(int(entry.name)):
                found.append(int(entry.name))
    return sorted(found)


class Response:
    """A whole answer."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class UnixConnection(http.client.HTTPConnection):
    """http.client over a unix socket."""

    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Client:
    """One kept connection."""

    def __init__(self, address, timeout=TIMEOUT, headers=None):
        self.headers = headers or {}
        if address.startswith("unix:"):
            self.connection = UnixConnection(address[5:], timeout)
        else:
            host, port = address.rsplit(":", 1)
            self.connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=timeout)

    def request(self, method, path, body=None, headers=None):
        """A body is JSON, unless the headers say otherwise."""
        as_json = {} if body is None else {"Content-Type": "application/json"}
        self.connection.request(method, path, body, {**as_json, **self.headers, **(headers or {})})
        response = self.connection.getresponse()
        return Response(response.status, response.headers, response.read())

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, **options):
        return self.request("POST", path, **options)

    def delete(self, path, **options):
        return self.request("DELETE", path, **options)

    def close(self):
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Daemon:
    """One sandboxd with a directory, a configuration and a log of its own."""

    def __init__(self, change=None, env=None, text=None):
        """`change(config)` edits the default configuration; `text` is a whole YAML text instead."""
        self.directory = Path(tempfile.mkdtemp(prefix="sandboxd-test-"))
        self.mark = uuid.uuid4().hex
        self.log_file = self.directory / "log"
        self.log_file.touch()
        self.config_file = self.directory / "sandboxd.yaml"
        self.sandboxes = self.directory / "sandboxes"
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.directory), "LANG": "C.UTF-8"}
        self.env.update({name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")})
        self.env.update(env or {})
        self.process = None
        self.addresses = []
        self.log_begin = 0
        self.expected_exit = 0
        self.config = self.default_config()
        if change:
            change(self.config)
        self.write(text)

    # ---- configuration

    def default_config(self):
        return {
            "server": {"listen": ["127.0.0.1:0"]},
            "state_dir": str(self.directory / "state"),
            "log": {"level": "debug"},
            "backends": {"local": {
                "plugin": "process", "health_interval": "100ms", "startup_timeout": f"{20 * SLOWER}s",
                "options": {"base_working_dir": str(self.sandboxes), "base_port": self.base_port(),
                            "stop_timeout": "2s"}}},
            "specs": [self.spec("agent")],
        }

    @staticmethod
    def base_port():
        """Tests that run at once mostly look at different ports; where they don't, that must do no harm."""
        return 10000 + os.getpid() % 200 * 100

    def spec(self, name, *flags, command=None, **more):
        """A spec whose sandboxes run the tests' agent with these flags, or another command."""
        command = command or [str(AGENT), "--port", "{port}", *map(str, flags)]
        spec = {"id": name, "command": [part.replace("$", "$$") for part in command], **more}
        spec["initial_env"] = {**more.get("initial_env", {}), MARK: self.mark}
        return spec

    def add_spec(self, *arguments, **more):
        self.config["specs"].append(self.spec(*arguments, **more))

    def write(self, text=None):
        """Writes the configuration: JSON is YAML."""
        self.config_file.write_text(text if text is not None else json.dumps(self.config, indent=2) + "\n")

    @property
    def local(self):
        return self.config["backends"]["local"]

    # ---- the process

    def spawn(self, *arguments, **options):
        """Starts the program and returns without waiting for anything."""
        self.log_begin = self.log_file.stat().st_size
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                [SANDBOXD, "--config", self.config_file, *arguments], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env=self.env, cwd="/", start_new_session=True, **options)
        return self

    def start(self, *arguments, **options):
        """Starts it and waits until it serves."""
        self.spawn(*arguments, **options)
        line = wait_until(self.ready_line, what="the ready line")
        assert line is not True, f"the daemon ended with {self.process.returncode}:\n{self.log()}"
        self.addresses = ADDRESS.findall(line)
        assert self.addresses, f"no address in: {line}"
        return self

    def ready_line(self):
        for line in self.log(self.log_begin).splitlines():
            if READY.search(line) and ADDRESS.search(line):
                return line
        return self.process.poll() is not None

    def stop(self, timeout=TIMEOUT):
        """SIGTERM, and the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(timeout)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def restart(self, how="stop"):
        getattr(self, how)()
        return self.start()

    def reload(self, ok=True):
        """SIGHUP, and the log that it caused up to the line that tells how it ended."""
        begin = self.log_file.stat().st_size
        self.process.send_signal(signal.SIGHUP)
        pattern = RELOADED if ok else REFUSED
        other = REFUSED if ok else RELOADED

        def over():
            """the end of the reload in the log"""
            text = self.log(begin)
            assert not other.search(text), f"the reload ended otherwise:\n{text}"
            return pattern.search(text) and text

        return wait_until(over)

    @property
    def pid(self):
        return self.process.pid

    def status(self, field):
        """A number of /proc/PID/status."""
        return int(re.search(rf"^{field}:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text(), re.M).group(1))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    # ---- its log

    def log(self, begin=0):
        with open(self.log_file, "rb") as f:
            f.seek(begin)
            return f.read().decode()

    def wait_log(self, pattern, begin=0, timeout=TIMEOUT):
        return wait_until(lambda: re.search(pattern, self.log(begin)), timeout, f"{pattern!r} in the log")

    # ---- its clients

    @property
    def address(self):
        return self.addresses[0]

    @property
    def port(self):
        return int(self.address.rsplit(":", 1)[1])

    def client(self, **options):
        return Client(self.address, **options)

    def request(self, method, path, **options):
        """On a connection of its own."""
        timeout = options.pop("timeout", TIMEOUT)
        with self.client(timeout=timeout) as client:
            return client.request(method, path, **options)

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, **options):
        return self.request("POST", path, **options)

    def delete(self, path, **options):
        return self.request("DELETE", path, **options)

    def raw(self, data, timeout=TIMEOUT, half_close=False):
        """Sends bytes, and returns all that comes until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout) as s:
            s.sendall(data)
            if half_close:
                s.shutdown(socket.SHUT_WR)
            received = b""
            while True:
                try:
                    piece = s.recv(65536)
                except ConnectionResetError:
                    return received
                if not piece:
                    return received
                received += piece

    # ---- sandboxes, for those who only need one

    def start_sandbox(self, spec=None, wait="20s", headers=None, status="RUNNING"):
        query = [f"wait={wait}"] if wait else []
        query += [f"sandbox_spec_id={spec}"] if spec else []
        response = self.post("/api/v1/sandboxes?" + "&".join(query), headers=headers, timeout=60)
        assert response.status == 200, f"{response}\n{self.log()}"
        sandbox = response.json()
        assert status is None or sandbox["status"] == status, f"{sandbox}\n{self.log()}"
        return sandbox

    def sandbox(self, sandbox_id, headers=None):
        response = self.get(f"/api/v1/sandboxes/{sandbox_id}", headers=headers)
        return response.json() if response.status == 200 else None

    def act(self, verb, sandbox_id, headers=None):
        response = self.post(f"/api/v1/sandboxes/{sandbox_id}/{verb}", headers=headers)
        assert response.status == 200 and response.json() == {"success": True}, response

    def remove_sandbox(self, sandbox_id, headers=None):
        response = self.delete(f"/api/v1/sandboxes/{sandbox_id}", headers=headers)
        assert response.status == 200 and response.json() == {"success": True}, response

    def wait_status(self, sandbox_id, status, headers=None, timeout=TIMEOUT):
        def seen():
            sandbox = self.sandbox(sandbox_id, headers)
            return sandbox if sandbox and sandbox["status"] == status else None
        return wait_until(seen, timeout, f"{sandbox_id} {status}, and not {self.sandbox(sandbox_id, headers)}")

    def everything(self, headers=None):
        """Every sandbox, page by page."""
        page, items = "", []
        while page is not None:
            answer = self.get(f"/api/v1/sandboxes/search?page_id={page}", headers=headers).json()
            items += answer["items"]
            page = answer["next_page_id"]
        return items

    def remove_all(self, headers=None):
        for sandbox in self.everything(headers):
            self.remove_sandbox(sandbox["id"], headers)

    def processes(self):
        return marked(self.mark)

    def leftovers(self):
        """What is there of sandboxes: directories and processes."""
        directories = [p.name for p in self.sandboxes.iterdir()] if self.sandboxes.exists() else []
        return directories + self.processes()

    def wait_clean(self):
        wait_until(lambda: not self.leftovers(), what=f"nothing left, but there is {self.leftovers()}")

    # ---- the end of a test

    def finish(self, headers=None):
        """Ends it in good order and checks that nothing stays behind."""
        text = self.log()
        assert not SANITIZER.search(text), text
        if self.process and self.process.poll() is None:
            self.remove_all(headers)
            self.wait_clean()
            assert self.stop() == self.expected_exit, self.log()
        text = self.log()
        assert not SANITIZER.search(text), text
        assert not self.processes(), "processes were left behind"

    def __enter__(self):
        return self

    def __exit__(self, kind, problem, trace):
        try:
            if kind is None:
                self.finish()
        except BaseException:
            self.show_log()
            raise
        finally:
            self.discard()

    def show_log(self):
        """For whoever reads of a failure: without the many reads of a test that waits."""
        lines = [line for line in self.log().splitlines() if not READ_ANSWERED.search(line)]
        print(f"---- the log of {self.directory}, without reads:", *lines[-200:], sep="\n")

    def discard(self):
        """Ends everything, whatever state it is in."""
        if self.process and self.process.poll() is None:
            self.kill()
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        shutil.rmtree(self.directory, ignore_errors=True)


# How the log says that a reload took over, or that it did not.
RELOADED = re.compile(r"generation \d+ in force")
REFUSED = re.compile(r"configuration not changed")


def check(text, *arguments, env=None):
    """`sandboxd --check` on a YAML text: its exit code, what it said with the file's name cut off, and the seconds of
    processor time that it took."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "sandboxd.yaml")
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        result = subprocess.run(
            [SANDBOXD, "--check", "--config", file, *arguments], capture_output=True, timeout=TIMEOUT, check=False,
            env={"PATH": os.environ["PATH"], **(env or {})}, stdin=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        said = (result.stdout + result.stderr).decode()
        assert not SANITIZER.search(said), said
        return result.returncode, said.replace(str(file), "sandboxd.yaml"), took
