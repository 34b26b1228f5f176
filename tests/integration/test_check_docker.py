"""What --check says of options of the docker backend. No engine is needed, nor looked for."""

import json

import pytest

from harness import check


def checked(options, **backend):
    """`sandboxd --check` of a docker backend with these options."""
    config = {"backends": {"docker": {"plugin": "docker", "options": options, **backend}}, "state_dir": "/tmp/nosuch"}
    return check(json.dumps(config))[:2]


def test_a_good_configuration_is_good_without_an_engine():
    code, said = checked({"host": "unix:///nosuch.sock", "mounts": [{"host_path": "/tmp", "container_path": "/x"}],
                          "port_ranges": {"AGENT_SERVER": "30000-39999"}, "gpus": "all", "network": "host"})
    assert code == 0, said


@pytest.mark.parametrize("options, path", [
    ({"nosuch": 1}, "options.nosuch"),
    ({"host": "ftp://x"}, "options.host"),
    ({"container_name_prefix": "-x"}, "options.container_name_prefix"),
    ({"container_url_pattern": "http://localhost"}, "options.container_url_pattern"),
    ({"host_port": 70000}, "options.host_port"),
    ({"mounts": [{"host_path": "/tmp"}]}, "options.mounts"),
    ({"mounts": [{"host_path": "/tmp", "container_path": "relative"}]}, "options.mounts[0].container_path"),
    ({"mounts": [{"host_path": "/tmp", "container_path": "/x", "mode": "overlay"}]}, "options.mounts[0]"),
    ({"exposed_ports": [{"name": "A B", "container_port": 1}]}, "options.exposed_ports[0]"),
    ({"exposed_ports": [{"name": "AGENT_SERVER", "container_port": 0}]}, "options.exposed_ports[0].container_port"),
    ({"port_ranges": {"AGENT_SERVER": "40000-30000"}}, "options.port_ranges"),
    ({"port_ranges": {"NOSUCH": "30000-40000"}}, "options.port_ranges"),
    ({"bind_address": "localhost:1"}, "options.bind_address"),
    ({"pause_mode": "sleep"}, "options.pause_mode"),
    ({"pull_policy": "sometimes"}, "options.pull_policy"),
    ({"limits": {"memory": "lots"}}, "options.limits.memory"),
    ({"on_shutdown": "burn"}, "options.on_shutdown"),
    ({"on_shutdown": "stop", "on_shutdown_scope": "some"}, "options.on_shutdown_scope"),
    ({"kwargs": [1]}, "options.kwargs"),
    ({"profile": "desktop"}, "options.profile"),
    ({"security": {"seccomp": "/nosuch.json"}}, "options.security.seccomp"),
    ({"security": {"cap_add": ["NOSUCH"]}}, "options.security.cap_add[0]"),
    ({"kwargs": {"cap_add": ["NOSUCH"]}}, "options.kwargs.cap_add[0]"),
    ({"kwargs": {"ulimits": [{"name": "nofile", "soft": "1"}]}}, "options.kwargs.ulimits[0].soft"),
    ({"kwargs": {"privileged": True}, "security": {"seccomp": "default"}}, "options.kwargs.privileged"),
])
def test_a_wrong_option_is_told_at_its_own_place(options, path):
    code, said = checked(options)
    assert code == 1 and f"backends.docker.{path}" in said and "sandboxd.yaml:1:" in said, said


@pytest.mark.parametrize("listen, options, warned", [
    ("127.0.0.1:3000", {}, False), ("127.0.0.1:3000", {"host_port": 3000}, True), ("127.0.0.1:3000", {"host_port": 0}, False),
    ("0.0.0.0:3000", {"host_port": 3000}, False), ("0.0.0.0:3001", {"host_port": 3000}, True)])
def test_an_address_that_the_daemon_does_not_listen_on_is_warned_of(listen, options, warned):
    config = {"server": {"listen": [listen]}, "auth": {"keys": [{"user": "ann", "sha256": "0" * 64}]},
              "backends": {"docker": {"plugin": "docker", "options": options}}, "state_dir": "/tmp/nosuch"}
    code, said, _ = check(json.dumps(config))
    assert code == 0 and ("this daemon does not listen there" in said) == warned, said


def test_what_security_comes_to_is_told_in_one_line():
    code, said = checked({"security": {"no_new_privileges": True, "cap_drop": ["ALL"]}})
    assert code == 0 and "warning" not in said, said
    [line] = [line for line in said.splitlines() if "options.security: " in line]
    assert "note: " in line and "sudo) gain nothing; without the capabilities ALL" in line


def test_all_wrong_options_are_told_in_one_run():
    code, said = checked({"pause_mode": 1, "pull_policy": 2, "bind_address": 3})
    assert code == 1 and all(word in said for word in ("pause_mode", "pull_policy", "bind_address")), said


@pytest.mark.parametrize("kwargs", [{"HostConfig": {"Privileged": True}}, {"HostConfig": {"CapAdd": ["SYS_ADMIN"]}},
                                    {"HostConfig": {"PidMode": "host"}},
                                    {"HostConfig": {"Binds": ["/var/run/docker.sock:/s"]}}])
def test_a_privileged_kwargs_is_warned_of(kwargs):
    code, said = checked({"kwargs": kwargs})
    assert code == 0 and "warning" in said.lower() and "options.kwargs" in said, said
    assert "warning" not in checked({"kwargs": {"Labels": {"a": "b"}}})[1].lower()
