"""`--check` and a start with wrong files: each error with file, line, column and path, all of them in one run."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from harness import SANDBOXD, SLOWER, check

GOOD = """\
server:
  listen: [127.0.0.1:3000]
state_dir: /tmp/state
backends:
  local:
    plugin: process
"""


def wrong(text, *expected, env=None):
    """Each of `expected` is a line of what --check says, or the beginning of one; and nothing else is said."""
    code, said, _ = check(text, env=env)
    assert code == 1, said
    lines = said.splitlines()
    assert len(lines) == len(expected), said
    for line, beginning in zip(lines, expected):
        assert line.startswith(beginning), f"{line!r} does not begin with {beginning!r}"


def test_a_good_file():
    code, said, _ = check(GOOD)
    assert code == 0, said
    assert "error" not in said


def test_the_samples_and_the_quickstart_are_right(tmp_path):
    program = tmp_path / "agent-server"  # what `pip install openhands-agent-server` puts into PATH
    program.touch(mode=0o755)
    samples = sorted(Path(__file__).resolve().parents[2].glob("etc/*.yaml"))
    assert len(samples) >= 5
    for sample in samples:
        code, said, _ = check(sample.read_text(), env={
            "QUICKSTART_PORT": "3000", "QUICKSTART_DIR": "/tmp/x", "QUICKSTART_AGENT": "/bin/true", "HOME": str(tmp_path),
            "PATH": f"{tmp_path}:{os.environ['PATH']}"})
        assert code == 0 and "warn" not in said, f"{sample}: {said}"


def test_bounds():
    wrong(GOOD + "    max_sandboxes: 0\n", "sandboxd.yaml:7:5: backends.local.max_sandboxes: must be at least 1, got 0")
    wrong(GOOD + "    max_sandboxes: -1\n", "sandboxd.yaml:7:5: backends.local.max_sandboxes: must be")
    wrong(GOOD + "    max_sandboxes: 1.5\n",
          "sandboxd.yaml:7:5: backends.local.max_sandboxes: must be a whole number, got 1.5")
    wrong(GOOD + "    max_sandboxes: 99999999999999999999\n", "sandboxd.yaml:7:5: backends.local.max_sandboxes: must be")


def test_types():
    wrong(GOOD.replace("[127.0.0.1:3000]", "{a: b}"), "sandboxd.yaml:2:3: server.listen: must be")
    wrong(GOOD.replace("127.0.0.1:3000", "nowhere"), "sandboxd.yaml:2:12: server.listen[0]: must be")
    wrong(GOOD.replace("127.0.0.1:3000", "127.0.0.1:70000"), "sandboxd.yaml:2:12: server.listen[0]: must end in a port")
    wrong("server: 3\n" + GOOD.split("\n", 2)[2], "sandboxd.yaml:1:1: server: must be a mapping")
    wrong(GOOD + "    health_interval: 5 parsecs\n",
          "sandboxd.yaml:7:5: backends.local.health_interval: must be a duration such as")
    wrong(GOOD + "log: {level: loud}\n",
          "sandboxd.yaml:7:7: log.level: must be error, warn, info or debug, got loud")


def test_unknown_and_double_keys():
    wrong(GOOD + "    max_sandboxs: 3\n",
          "sandboxd.yaml:7:5: backends.local.max_sandboxs: unknown key, did you mean max_sandboxes?")
    wrong(GOOD + "state_dir: /tmp/other\n", "sandboxd.yaml:7:1: state_dir: is there twice, in line 3 too")
    wrong(GOOD + "colour: blue\n", "sandboxd.yaml:7:1: colour: unknown key")


def test_references_to_nothing():
    wrong(GOOD + "default_backend: locl\n",
          "sandboxd.yaml:7:1: default_backend: must be the name of one of backends, perhaps local, got locl")
    wrong(GOOD + "specs:\n  - {id: a, backend: cloud}\n", "sandboxd.yaml:8:13: specs[0].backend: must be the name of")
    wrong(GOOD + "  other: {plugin: process}\n", "sandboxd.yaml:4:1: default_backend: is missing")


def test_what_is_missing():
    wrong("state_dir: /tmp/state\n", "sandboxd.yaml: backends: is missing")
    wrong(GOOD.replace("    plugin: process\n", "    max_sandboxes: 1\n"), "sandboxd.yaml:5:3: backends.local.plugin: is missing")
    wrong(GOOD.replace("plugin: process", "plugin:"), "sandboxd.yaml:6:5: backends.local.plugin: has no value")


def test_all_errors_of_a_file_in_one_run_in_its_order():
    wrong("server:\n  listen: [nowhere]\n  max_body: lots\nstate_dir: relative\nbackends:\n  local:\n"
          "    plugin: process\n    over_limit: maybe\nspecs:\n  - {id: a}\n  - {id: a}\n",
          "sandboxd.yaml:2:12: server.listen[0]:", "sandboxd.yaml:3:3: server.max_body:", "sandboxd.yaml:4:1: state_dir:",
          "sandboxd.yaml:8:5: backends.local.over_limit:", "sandboxd.yaml:11:6: specs[1].id:")


def test_plugins_and_tls_files_are_told_in_the_same_run_as_what_is_wrong_with_keys():
    wrong("colour: blue\nserver:\n  tls: {cert: /nonexistent, key: /nonexistent}\nbackends:\n  a:\n    max_sandboxes: 1\n"
          "    plugin: nope\n  b: {plugin: process, options: {base_port: x}}\n"
          "  c: {plugin: process, options: {base_port: \"${UNSET}\", base_prot: 1}}\ndefault_backend: a\n",
          "sandboxd.yaml:1:1: colour: unknown key", "sandboxd.yaml:3:9: server.tls.cert: /nonexistent",
          "sandboxd.yaml:3:29: server.tls.key: /nonexistent",
          "sandboxd.yaml:7:5: backends.a.plugin: there is no",
          "sandboxd.yaml:8:34: backends.b.options.base_port: must be a whole number",
          "sandboxd.yaml:9:34: backends.c.options.base_port: the environment variable UNSET is not set")


def test_environment_variables():
    text = GOOD.replace("/tmp/state", '"${WHERE}/state"')
    assert check(text, env={"WHERE": "/tmp"})[0] == 0
    wrong(text, "sandboxd.yaml:3:1: state_dir: the environment variable WHERE is not set")
    assert check(GOOD.replace("/tmp/state", "/tmp/a$$b"))[0] == 0
    wrong(GOOD.replace("/tmp/state", "/tmp/a$b"), "sandboxd.yaml:3:1: state_dir:")


def test_secrets_are_not_shown():
    text = GOOD + "auth:\n  keys:\n    - {user: a, key: \"bad key with-secret\"}\n    - {user: b, sha256: abc-secret}\n"
    code, said, _ = check(text)
    assert code == 1 and "secret" not in said, said
    assert "auth.keys[0].key" in said and "auth.keys[1].sha256" in said


def test_keys_exactly_one_way():
    wrong(GOOD + "auth: {keys: [{user: a}]}\n", "sandboxd.yaml:7:15: auth.keys[0]: needs one of key, key_file and sha256")
    wrong(GOOD + f"auth: {{keys: [{{user: a, key: abcdefghij, sha256: {'0' * 64}}}]}}\n",
          "sandboxd.yaml:7:15: auth.keys[0]: must have only one of")
    wrong(GOOD + "auth: {keys: [{user: a, key_file: /nonexistent}]}\n", "sandboxd.yaml:7:25: auth.keys[0].key_file:")


def test_without_keys_only_loopback():
    text = GOOD.replace("127.0.0.1:3000", "0.0.0.0:3000")
    wrong(text, "sandboxd.yaml:2:12: server.listen[0]: without auth.keys only")
    assert check(text + "auth: {keys: [{user: a, key: abcdefghijklmnop}]}\n")[0] == 0


def test_yaml_errors_have_a_position():
    wrong("server: [\n", "sandboxd.yaml:2:1: this is not valid YAML")
    wrong("a: b: c\n", "sandboxd.yaml:1:5: this is not valid YAML")
    wrong("server:\n\tlisten: x\n", "sandboxd.yaml:2:1: this is not valid YAML")
    wrong(GOOD + "---\n" + GOOD, "sandboxd.yaml:7:1: a second document")


@pytest.mark.parametrize("text", [
    b"", b"\n\n# nothing\n", b"null\n", b"[]\n", b"just text\n", b"\x00\x01\x02\x03", bytes(range(256)) * 100,
    b"\xff\xfe" + "a: b".encode("utf-16-le"), b"\x80\x81\n", b"a: \xc3\x28\n",
    b"a: &x [1,2]\nb: *x\n", b"&a [&b [&c [*a,*b,*c]]]\n",
    b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(b"%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n" % (
        (98 + i, 98 + i) + (97 + i,) * 8) for i in range(12)),
    b"[" * 100000, b"{a: " * 5000, b"- " * 20000, b"a:\n" + b" " * 100000 + b"b: 1\n",
    b"x" * (2 << 20), b"a: b\n" * 400000, b"k: [" + b"1," * 300000 + b"]\n", b"!!python/object:os.system x\n",
    b"a: !!binary aGk=\n", b"<<: {a: b}\n", b"? [complex]\n: x\n", b"%YAML 9.9\n---\na: b\n"],
    ids=lambda text: f"{text[:16]!r}...{len(text)}")
def test_what_is_no_configuration_is_refused_in_milliseconds(text):
    code, said, took = check(text)
    assert code == 1 and said.startswith("sandboxd.yaml"), said[:2000]
    assert len(said) < 20000
    assert took < 0.25 * SLOWER, f"{took * 1000:.0f} ms"


def test_a_device_or_a_directory_is_refused_at_once():
    for path in "/dev/zero", "/tmp", "/nonexistent/file", "/dev/null":
        result = subprocess.run([SANDBOXD, "--check", "--config", path], capture_output=True, timeout=20, check=False)
        assert result.returncode == 1 and path in result.stderr.decode()


# ---- the plugin's own options

def test_a_plugin_names_the_place_of_a_wrong_option():
    wrong(GOOD + "    options:\n      base_port: 70000\n",
          "sandboxd.yaml:8:7: backends.local.options.base_port: ")
    wrong(GOOD + "    options: {base_prt: 1}\n", "sandboxd.yaml:7:")
    wrong(GOOD + "    options: {on_shutdown: explode, stop_timeout: soon, log_size: x, limits: {memory: -1}}\n",
          *["sandboxd.yaml:7:"] * 4)
    wrong(GOOD + "    options: {run_as: no-such-user-here}\n", "sandboxd.yaml:7:15: backends.local.options.run_as:")


def test_a_plugin_that_is_not_there():
    wrong(GOOD.replace("plugin: process", "plugin: nosuch"), "sandboxd.yaml:6:5: backends.local.plugin: there is no")
    wrong(GOOD.replace("plugin: process", "plugin: /etc/passwd"), "sandboxd.yaml:6:5: backends.local.plugin:")


def test_json_is_yaml():
    assert check(json.dumps({"state_dir": "/tmp/s", "backends": {"local": {"plugin": "process"}}}))[0] == 0


# ---- the command line

def run(*arguments):
    return subprocess.run([SANDBOXD, *arguments], capture_output=True, text=True, timeout=30, check=False)


def test_version_and_help():
    result = run("--version")
    assert result.returncode == 0 and result.stdout.startswith("sandboxd ")
    assert "--config" in run("--help").stdout


@pytest.mark.parametrize("arguments", [["--nosuch"], ["extra"], ["--config"]])
def test_wrong_arguments(arguments):
    result = run(*arguments)
    assert result.returncode == 2 and "usage" in result.stderr


def test_a_start_with_a_wrong_file_logs_its_errors_and_exits_1(make_daemon):
    daemon = make_daemon(text="backends: {a: {plugin: process, colour: red}}\nlog: {level: loud}\n")
    daemon.spawn()
    assert daemon.process.wait(20) == 1
    assert ":1:33: backends.a.colour:" in daemon.log() and ":2:7: log.level:" in daemon.log()


def test_check_has_no_side_effects(tmp_path):
    state = tmp_path / "state"
    text = GOOD.replace("/tmp/state", str(state)) + f"    options: {{base_working_dir: {tmp_path}/sandboxes}}\n"
    assert check(text)[0] == 0
    assert not state.exists() and not (tmp_path / "sandboxes").exists()
