"""`cmake --install`: what is where, a daemon that runs from there, and a plugin built with nothing but its headers."""

import json
import os
import re
import shutil
import subprocess

import pytest

from harness import BUILD, ROOT, SANITIZED


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    directory = tmp_path_factory.mktemp("prefix")
    subprocess.run(["cmake", "--install", BUILD, "--prefix", directory], check=True, capture_output=True)
    return directory


def test_everything_is_where_it_belongs(prefix):
    for path in ("bin/sandboxd", "include/sandboxd/backend.h", "include/sandboxd/host.h", "include/sandboxd/json.h",
                 "include/sandboxd/error.h", "etc/sandboxd/sandboxd.yaml", "lib/systemd/system/sandboxd.service",
                 "lib/sysusers.d/sandboxd.conf"):
        assert (prefix / path).is_file(), path
    plugins = {plugin.name for plugin in prefix.glob("lib*/**/sandboxd/plugins/*.so")}
    [dockerfile] = prefix.glob("lib*/**/sandboxd/plugins/runtime-image/Dockerfile")
    assert (dockerfile.parent.parent / "docker.so").is_file(), "the plugin looks for it beside itself"
    assert plugins == {"process.so", "docker.so", "remote.so"}
    names = {p.name for p in prefix.rglob("*") if p.is_file()}
    assert not names & {"sandbox-agent", "trivial.so", "misbehave.so"}, "nothing of the tests"


def test_the_unit_names_what_was_installed(prefix):
    unit = (prefix / "lib/systemd/system/sandboxd.service").read_text()
    assert f"ExecStart={prefix}/bin/sandboxd --config {prefix}/etc/sandboxd/sandboxd.yaml" in unit
    assert "@" not in unit
    for line in "Type=notify", "KillMode=process", "ExecReload=/bin/kill -HUP $MAINPID":
        assert line in unit.splitlines()
    if shutil.which("systemd-analyze"):
        result = subprocess.run(["systemd-analyze", "verify", "--man=no",
                                 prefix / "lib/systemd/system/sandboxd.service"],
                                capture_output=True, text=True, check=False)
        assert "sandboxd.service" not in result.stderr, result.stderr


def test_what_the_documents_link_to_is_there(prefix):
    documents = list(prefix.glob("share/doc/sandboxd/docs/*.md"))
    assert documents
    for document in documents:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / link).exists(), f"{document.name}: {link}"


def test_an_operators_configuration_is_left_alone(tmp_path):
    file = tmp_path / "etc/sandboxd/sandboxd.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    subprocess.run(["cmake", "--install", BUILD, "--prefix", tmp_path], check=True, capture_output=True)
    assert file.read_text() == "mine"


def test_the_sample_configuration_is_right(prefix):
    result = subprocess.run([prefix / "bin/sandboxd", "--check", "--config", prefix / "etc/sandboxd/sandboxd.yaml"],
                            capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]})
    assert result.returncode == 0, result.stderr


@pytest.fixture
def installed(make_daemon, prefix, monkeypatch):
    monkeypatch.setattr("harness.SANDBOXD", prefix / "bin/sandboxd")
    return make_daemon()


def test_the_installed_daemon_finds_its_plugins(installed):
    installed.start()
    installed.start_sandbox()


@pytest.mark.skipif("thread" in SANITIZED, reason="a module without ThreadSanitizer in a program with it")
def test_a_plugin_built_with_the_installed_headers_alone(installed, prefix, tmp_path):
    plugin = tmp_path / "mine.so"
    subprocess.run(["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", "-shared", "-fPIC",
                    "-fvisibility=hidden", "-I", prefix / "include", ROOT / "tests/plugins/trivial.c", "-o", plugin],
                   check=True)
    installed.config["backends"] = {"mine": {"plugin": str(plugin)}}
    installed.write()
    installed.start()
    installed.start_sandbox()
    assert json.loads(installed.get("/api/v1/backends").body)[0]["name"] == "mine"
