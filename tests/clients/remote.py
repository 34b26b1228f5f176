"""The published packages as a test sees them: programs in their own environment, whose objects are used from here.

    sdk = environment.program("sdk")
    workspace = sdk.new("openhands.workspace.APIRemoteWorkspace", runtime_api_url=…, …)
    workspace.execute_command("ls")    # calls the method in there
    workspace["host"]                  # reads the attribute

What can be JSON comes as a value, all else as an object that stays where it is. See driver.py, the other side.
"""

import json
import os
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = os.environ.get("CLIENTS_ROOT", "")  # as it is in the namespaces of the tests: run.sh
ENVIRONMENTS = {name: os.environ.get(f"CLIENTS_{name.upper()}", "") for name in ("sdk", "app")}
# Nothing here may look for the Internet, or wait for it in vain.
QUIET = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "OPENHANDS_SUPPRESS_BANNER": "1", "DO_NOT_TRACK": "1",
         "PYTHONDONTWRITEBYTECODE": "1"}


class Raised(Exception):
    """What the package raised: its class's name, and its words."""

    def __init__(self, name, message):
        super().__init__(f"{name}: {message}")
        self.name, self.message = name, message


def inside(*command):
    """A command of this machine that runs another one where the packages are: in their root, in the same directory."""
    if not ROOT:
        return list(command)
    return ["/bin/sh", "-c", 'exec chroot "$0" /usr/bin/env -C "$PWD" -- "$@"', ROOT, *command]


def program_of(name, program):
    """The path of a program of an environment, as seen in there."""
    return f"{ENVIRONMENTS[name]}/bin/{program}"


class Held:
    """An object of a program."""

    def __init__(self, program, number, description):
        self._program, self._number, self._description = program, number, description

    def __getattr__(self, name):
        return lambda *arguments, **options: self._program.ask(
            {"of": self._number, "member": name, "call": True}, arguments, options)

    def __getitem__(self, name):
        return self._program.ask({"of": self._number, "member": name, "call": False})

    def __repr__(self):
        return f"<in the program: {self._description}>"


class Name:
    """Stands for what has this dotted name in the program."""

    def __init__(self, name):
        self.name = name


def given(value):
    """An argument as JSON."""
    if isinstance(value, Held):
        return {"$held": value._number}
    if isinstance(value, Name):
        return {"$name": value.name}
    if isinstance(value, dict):
        return {key: given(one) for key, one in value.items()}
    return [given(one) for one in value] if isinstance(value, (list, tuple)) else value


class Program:
    """One process with the packages of an environment. Its output is shown where a test fails."""

    def __init__(self, name, env=None):
        self.directory = tempfile.TemporaryDirectory(prefix="sandboxd-client-")
        self.log = Path(self.directory.name, "log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                inside(program_of(name, "python"), str(HERE / "driver.py")), stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=log, text=True, cwd=self.directory.name, start_new_session=True,
                env={"PATH": os.environ["PATH"], "HOME": self.directory.name, "LANG": "C.UTF-8", **QUIET,
                     **(env or {})})

    def ask(self, request, arguments=(), options=None):
        request = {**request, "arguments": given(list(arguments)), "options": given(options or {})}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the program ended with {self.process.wait()}:\n{self.output()}"
        answer = json.loads(line)
        if "error" in answer:
            raise Raised(answer["error"], answer["message"])
        return Held(self, answer["held"], answer["is"]) if "held" in answer else answer["value"]

    def new(self, name, *arguments, **options):
        """What the thing of this name gives when it is called: an object of a class, mostly."""
        return self.ask({"new": name}, arguments, options)

    def output(self):
        return self.log.read_text(errors="replace")

    def close(self):
        """Its end, as a user's program ends: the packages clean up what they made."""
        self.process.stdin.close()
        self.process.wait(60)

    def discard(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.directory.cleanup()


def agent_server_spec(spec_id="agent-server", **more):
    """A spec of the process backend: the published agent server, as pip installs it."""
    more["initial_env"] = {**QUIET, "OH_ENABLE_VSCODE": "0", **more.get("initial_env", {})}
    command = inside(program_of("sdk", "agent-server"), "--port", "{port}")
    return {"id": spec_id, "command": [part.replace("$", "$$") for part in command], **more}
