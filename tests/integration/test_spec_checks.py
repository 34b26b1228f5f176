"""What is wrong with a spec, or with what a backend needs around it, is told by --check, at the start and at a reload, with
its place in the file; what only a request brings is refused by the start that it asks for."""

import json
import os
import shutil
from pathlib import Path

import pytest

from harness import BUILD, check, wait_until

HEAD = """\
state_dir: /tmp/nosuch
backends:
  local: {plugin: process%s}
specs:
  - id: agent
"""


def checked(spec, options=""):
    text = HEAD % (f", options: {{{options}}}" if options else "")
    code, said, _ = check(text + "".join(f"    {line}\n" for line in spec))
    return code, said


@pytest.mark.parametrize("path, why", [
    ("/workspace/project", "a folder of this host, which all sandboxes would share"), ("../x", "does not stay within"),
    ("a/../../b", "does not stay within")])
def test_a_working_dir_that_leaves_the_sandbox(path, why):
    code, said = checked(["command: [sh]", f"working_dir: {path}"])
    assert code == 1 and "sandboxd.yaml:7:5: specs[0].working_dir: " in said and why in said, said


def test_a_working_dir_that_the_operator_shares(tmp_path):
    spec = ["command: [sh]", f"working_dir: {tmp_path}/project"]
    code, said = checked(spec, f"shared_dirs: [{tmp_path}]")
    assert code == 0 and "options.shared_dirs[0]: sandboxes whose working_dir is in" in said, said
    code, said = checked(spec, f"shared_dirs: [{tmp_path}/nosuch, {tmp_path}]")
    assert code == 0 and "warning: backends.local.options.shared_dirs[0]: there is no directory" in said, said


def test_a_program_that_is_not_there_is_a_warning():
    code, said = checked(["command: [no-such-program-here, --port, '{port}']"])
    assert code == 0 and "sandboxd.yaml:6:15: warning: specs[0].command[0]: there is no program" in said, said
    code, said = checked(["command: [here]", "initial_env: {PATH: /nonexistent}"])
    assert code == 0 and "specs[0].command[0]: there is no program here" in said, said
    code, said = checked(["working_dir: x"], "python_executable: /no/python")
    assert code == 0 and "specs[0]: it has no command, and there is no program /no/python" in said, said
    assert "no program" not in checked(["command: [sh]"])[1]


def test_an_entry_point_is_for_images():
    code, said = checked(["command: [sh]", "entrypoint: [a]"])
    assert code == 1 and "specs[0]: the spec has an entrypoint, which only images have" in said, said


def test_a_build_is_for_images():
    code, said = checked(["command: [sh]", "build: {base_image: debian}"])
    assert code == 1 and "specs[0]: the spec has a build, which makes images" in said, said
    config = {"state_dir": "/tmp/nosuch", "specs": [{"id": "app", "build": {"base_image": "debian"}}], "backends": {
        "far": {"plugin": "remote", "options": {"api_url": "http://127.0.0.1:1", "api_key": "k"}}}}
    code, said, _ = check(json.dumps(config))
    assert code == 1 and "specs[0]: the spec has a build, and a runtime API takes images that are there" in said, said


def test_a_build_of_containers(tmp_path):
    def said_of(build, **options):
        config = {"state_dir": "/tmp/nosuch", "backends": {"docker": {"plugin": "docker", "options": options}},
                  "specs": [{"id": "The Agents", "build": build}]}
        return check(json.dumps(config))[:2]
    assert said_of({"base_image": "debian:13"})[0] == 0, "the folder beside the plugin, and an id that is no image"
    for build, why in (({}, "specs[0].build.base_image: is missing"),
                       ({"base_image": "Team/App"}, "specs[0].build.base_image: must be the name of an image"),
                       ({"base_image": "a", "browser": True}, "specs[0].build.browser: unknown key")):
        code, said = said_of(build)
        assert code == 1 and why in said, said
    code, said = said_of({"base_image": "debian"}, build_context=str(tmp_path))
    assert code == 1 and f"specs[0].build: {tmp_path}/Dockerfile, from which the image is made" in said, said
    (tmp_path / "Dockerfile").touch()
    assert said_of({"base_image": "debian"}, build_context=str(tmp_path))[0] == 0


def test_without_specs_the_backends_own_is_checked():
    text = "state_dir: /tmp/nosuch\nbackends:\n  local: {plugin: process, options: {python_executable: nosuchpython}}\n"
    code, said, _ = check(text)
    assert code == 0 and "backends.local: its own spec: it has no command" in said, said


def test_a_supervisor_that_is_missing(tmp_path):
    plugin = tmp_path / "process.so"
    shutil.copy(BUILD / "plugins/process.so", plugin)
    code, said, _ = check(json.dumps({"state_dir": "/tmp/nosuch", "backends": {"local": {"plugin": str(plugin)}}}))
    assert code == 1 and f"{tmp_path}/process-supervisor, which belongs beside the plugin, can't be executed" in said


def test_a_base_folder_that_can_not_be(tmp_path):
    tmp_path.joinpath("file").touch()
    tmp_path.joinpath("link").symlink_to(tmp_path)
    for path, why in (("file/deeper", "can't be written to"), ("link", "is a symbolic link"), ("file", "not a directory")):
        code, said = checked(["command: [sh]"], f"base_working_dir: {tmp_path}/{path}")
        assert code == 0 and "warning: backends.local.options.base_working_dir: " in said and why in said, said


@pytest.mark.parametrize("spec, why", [
    ({"id": "Team/App:latest"}, "specs[0].id: must be the name of an image, which is in lower case"),
    ({"id": "two words"}, "specs[0].id: must be the name of an image, which has no blanks"),
    ({"id": "app", "working_dir": "project"}, "specs[0].working_dir: must be an absolute path inside the container")])
def test_images_and_folders_of_containers(spec, why):
    config = {"state_dir": "/tmp/nosuch", "backends": {"docker": {"plugin": "docker"}}, "specs": [spec]}
    code, said, _ = check(json.dumps(config))
    assert code == 1 and why in said, said
    config["specs"] = [{"id": "LOCALHOST:5000/app:Tag", "working_dir": "/x"}, {"id": "sha256:" + "0" * 64}]
    assert check(json.dumps(config))[0] == 0


def test_what_a_runtime_api_has_no_words_for():
    config = {"state_dir": "/tmp/nosuch", "specs": [{"id": "app", "entrypoint": ["--x"]}], "backends": {"far": {
        "plugin": "remote", "options": {"api_url": "http://127.0.0.1:1", "api_key": "k"}}}}
    code, said, _ = check(json.dumps(config))
    assert code == 1 and "specs[0]: the spec's entrypoint and command name no program" in said, said


def test_a_start_and_a_reload_refuse_it_too(make_daemon):
    daemon = make_daemon()
    daemon.config["specs"][0]["working_dir"] = "/outside"
    daemon.write()
    daemon.spawn()
    assert daemon.process.wait(20) == 1 and "specs[0].working_dir: /outside is a folder of this host" in daemon.log()
    del daemon.config["specs"][0]["working_dir"]
    daemon.write()
    daemon.start()
    daemon.config["specs"][0]["working_dir"] = "../outside"  # the backend's own section stays as it is
    daemon.write()
    daemon.reload(ok=False)
    assert "specs[0].working_dir: ../outside does not stay within" in daemon.log()


def test_a_request_may_not_name_a_folder_that_all_would_share(make_daemon):
    def options(config):
        config["runtime_api"] = {"enabled": True}
    daemon = make_daemon(options)
    folder = daemon.directory / "workspace"
    folder.mkdir()
    daemon.start()

    def start(path):
        return daemon.post("/runtime-api/start", body=json.dumps({"image": "agent", "working_dir": str(path)}),
                           headers={"Content-Type": "application/json"})
    refused = start(folder)
    assert refused.status == 400 and "shared_dirs" in refused.json()["detail"], refused
    assert not daemon.everything() and not daemon.processes()
    own = start("/").json()  # of a container it is no folder in particular
    daemon.local["options"]["shared_dirs"] = [str(folder)]
    daemon.write()
    daemon.reload()
    shared = start(folder / "project").json()
    for runtime, inside in ((own, daemon.sandboxes), (shared, folder / "project")):
        sandbox = wait_until(lambda runtime=runtime: daemon.sandbox(runtime["runtime_id"]))
        pids = [p for p in daemon.processes() if f"SANDBOX_ID={sandbox['id']}" in Path(f"/proc/{p}/environ").read_text()]
        wanted = inside / sandbox["id"] if inside is daemon.sandboxes else inside
        assert Path(os.readlink(f"/proc/{pids[0]}/cwd")) == wanted
    daemon.remove_all()
    daemon.wait_clean()
    assert (folder / "project").is_dir(), "what is shared is nobody's to remove"
