"""Images that the docker backend makes of a base image, as `build` of a spec says: once, and found again by their name."""

import json
import shutil
import threading

import pytest

from docker_engine import AGENT_IMAGE
from docker_proxy import answer_of
from harness import SLOWER, wait_until

GOOD = ("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nARG EXTRA_DEPS\nARG ENABLE_BROWSER\n"
        'LABEL deps="$EXTRA_DEPS" browser="$ENABLE_BROWSER"\nCOPY note /note\n')
HANGS = GOOD + 'RUN ["/sandbox-agent", "--port", "8000"]\n'


@pytest.fixture
def docker(make_docker, engine):
    docker = make_docker()
    docker.context = docker.directory / "context"
    docker.context.mkdir()
    (docker.context / "Dockerfile").write_text(GOOD)
    (docker.context / "note").write_text(docker.prefix)  # no other test's image is this one's
    docker.options["build_context"] = str(docker.context)
    docker.config["specs"] = [{"id": "made", "command": ["/sandbox-agent", "--port", "8000"],
                               "build": {"base_image": AGENT_IMAGE}}]
    docker.build = docker.config["specs"][0]["build"]
    docker.write()
    for image in made(engine):  # of earlier tests, whose containers are gone
        engine.remove_image(image)
    return docker


def made(engine):
    return sorted(tag for image in engine.ask("GET", "/images/json") for tag in image["RepoTags"] or []
                  if tag.startswith("sandboxd-runtime:"))


def builds(docker):
    return docker.log().count(": building sandboxd-runtime:")


def begin(docker):
    response = docker.post("/api/v1/sandboxes?sandbox_spec_id=made")
    assert response.status == 200, response
    return response.json()["id"]


def failure(docker, code):
    """The error of a start, whether the answer has it or comes before it."""
    response = docker.post("/api/v1/sandboxes?sandbox_spec_id=made")
    if response.status != 200:
        error = response.json()["error"]
        assert error["code"] == code, response
        return error["message"]
    return docker.wait_error(response.json()["id"], code)["error"]["message"]


def start(docker):
    """A sandbox that runs, and what the engine says of its container."""
    response = docker.post("/api/v1/sandboxes?sandbox_spec_id=made&wait=60s", timeout=90 * SLOWER)
    assert response.status == 200 and response.json()["status"] == "RUNNING", f"{response}\n{docker.log()}"
    assert response.json()["sandbox_spec_id"] == "made"
    return docker.engine.inspect(response.json()["id"])


def test_starts_at_once_build_once_and_later_ones_find_it(docker, engine):
    docker.start()
    containers = []
    threads = [threading.Thread(target=lambda: containers.append(start(docker))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [tag] = made(engine)
    assert [c["Config"]["Image"] for c in containers] == [tag] * 3
    assert {k: containers[0]["Config"]["Labels"][k] for k in ("deps", "browser")} == {"deps": "", "browser": "true"}
    assert builds(docker) == 1
    start(docker)
    docker.restart("kill")
    assert start(docker)["Config"]["Image"] == tag
    assert made(engine) == [tag] and builds(docker) == 1, "the engine has it; nothing else needs to be remembered"
    engine.remove_image(tag)
    assert start(docker)["Config"]["Image"] == tag and builds(docker) == 2


def test_what_goes_in_decides(docker, engine):
    docker.start()
    tags = {start(docker)["Config"]["Image"]}

    def another(what, count):
        container = start(docker)
        tags.add(container["Config"]["Image"])
        assert len(tags) == count and len(made(engine)) == count, f"{what}: {tags}"
        return container["Config"]["Labels"]
    (docker.context / "note").write_text("changed")
    another("a file", 2)
    (docker.context / "note").chmod(0o600)
    another("its mode", 3)
    docker.build.update(extra_deps="echo 'two words' && true\nanother line", enable_browser=False)
    docker.write()
    docker.reload()
    labels = another("the arguments", 4)
    assert labels["deps"] == "echo 'two words' && true\nanother line" and labels["browser"] == "false"
    docker.build["base_image"] = "sandboxd-test/moving:latest"
    engine.import_image("sandboxd-test/moving:latest")
    docker.write()
    docker.reload()
    another("the base image", 5)
    engine.import_image("sandboxd-test/moving:latest", padding=1000)
    another("the same name of another base image", 6)
    assert builds(docker) == 6


def test_a_forced_build_is_one_for_each_time_that_the_backend_opens(docker, engine):
    docker.build["force_rebuild"] = True
    docker.write()
    docker.start()
    start(docker), start(docker)
    assert builds(docker) == 1
    docker.restart()
    start(docker), start(docker)
    assert builds(docker) == 2 and len(made(engine)) == 1


@pytest.mark.parametrize("dockerfile, words", [
    ("FRO scratch\n", "unknown instruction"), (GOOD + "COPY nothing /x\n", "nothing"),
    (GOOD + 'RUN ["/sandbox-agent", "--no-such-flag"]\n', "its log ends: ")])
def test_a_dockerfile_that_can_not_be_built_is_the_starts_error(docker, dockerfile, words):
    (docker.context / "Dockerfile").write_text(dockerfile)
    docker.start()
    for _ in range(2):  # nothing is kept of a failure
        said = failure(docker, "BUILD_FAILED")
        assert words in said, said
    assert not docker.containers()
    (docker.context / "Dockerfile").write_text(GOOD)
    start(docker)


def test_progress_and_a_delete_amid_a_build(docker, engine):
    (docker.context / "Dockerfile").write_text(HANGS)
    docker.start()
    first, second = begin(docker), begin(docker)
    for sandbox in first, second:
        wait_until(lambda: "Step 7/7 : RUN" in (docker.sandbox(sandbox)["status_detail"] or ""),  # noqa: B023
                   what="the step in status_detail")
    assert docker.sandbox(first)["status_detail"].startswith(f"building the image from {AGENT_IMAGE}: Step")
    assert len(running(engine)) == 1 and builds(docker) == 1
    docker.delete(f"/api/v1/sandboxes/{first}")
    wait_until(lambda: docker.sandbox(first) is None)
    assert len(running(engine)) == 1, "the other one still waits for it"
    docker.delete(f"/api/v1/sandboxes/{second}")
    wait_until(lambda: not running(engine), what="the build to be given up")
    wait_until(lambda: docker.sandbox(second) is None)
    assert not docker.leftovers() and not made(engine)


def running(engine):
    """The containers of builds."""
    return [c for c in engine.ask("GET", "/containers/json") if not c["Names"][0].startswith("/sbx-")]


def test_a_kill_amid_a_build_goes_on_with_the_next_daemon(docker, engine):
    (docker.context / "Dockerfile").write_text(HANGS)
    docker.start()
    sandbox = begin(docker)
    wait_until(lambda: running(engine))
    docker.kill()
    wait_until(lambda: not running(engine), what="the engine to give the build up")
    (docker.context / "Dockerfile").write_text(GOOD)
    docker.start()
    wait_until(lambda: docker.sandbox(sandbox)["status"] == "RUNNING", what="the start to be finished")
    assert engine.inspect(sandbox)["Config"]["Image"] == made(engine)[0]
    assert [p.name for p in (docker.directory / "state").rglob("context*")] == [], "nothing of the cut-off one"


def test_what_is_missing_says_so(docker):
    docker.build["base_image"] = "sandboxd-test/nosuch:latest"
    docker.write()
    docker.start()
    said = failure(docker, "IMAGE_NOT_FOUND")
    assert "base image 'sandboxd-test/nosuch:latest', and pull_policy is 'never'" in said, said
    docker.build["base_image"] = AGENT_IMAGE
    docker.write()
    docker.reload()
    shutil.rmtree(docker.context)
    said = failure(docker, "START_FAILED")
    assert str(docker.context) in said and "No such file" in said, said


def test_a_full_disk_of_the_engine_and_a_lost_answer(docker, proxy):
    docker.options["host"] = proxy.host
    docker.write()
    docker.start()
    full = b'{"stream":"Step 1/2 : FROM x\\n"}\n{"errorDetail":{"message":"write /x: no space left on device"}}\n'
    rule = proxy.rule("^POST /build", answer=answer_of(full))
    said = failure(docker, "NO_SPACE")
    assert rule.applied and said.endswith("; its log ends: Step 1/2 : FROM x"), said
    proxy.clear()
    proxy.rule("^POST /build", answer=answer_of(b'{"stream":"Step 1/2 : FROM x\\n"}\n'))
    said = failure(docker, "BACKEND_UNAVAILABLE")
    assert "without saying how" in said, said


def test_over_the_runtime_api(docker, engine):
    docker.config["runtime_api"] = {"enabled": True}
    del docker.options["exposed_ports"]
    docker.write()
    docker.start()
    body = {"image": "made", "command": ["/sandbox-agent", "--port", "60000"], "session_id": "s"}
    response = docker.post("/runtime-api/start", body=json.dumps(body), timeout=60 * SLOWER)
    assert response.status == 200, f"{response}\n{docker.log()}"
    wait_until(lambda: docker.get("/runtime-api/sessions/s").json()["status"] == "running")
    [container] = docker.containers()
    assert [engine.inspect(container)["Config"]["Image"]] == made(engine)
