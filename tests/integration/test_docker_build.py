"""Images that clients have built over the runtime API: as OpenHands' RemoteRuntimeBuilder asks for them."""

import base64
import io
import json
import os
import subprocess
import tarfile
import threading
from urllib.parse import quote

import pytest

from docker_engine import AGENT_IMAGE, STATIC_AGENT
from docker_proxy import answer_of
from harness import SLOWER, wait_until
from test_docker_pull import PASSWORD, USER, Registry

FINAL = "SUCCESS", "FAILURE", "INTERNAL_ERROR", "TIMEOUT", "CANCELLED", "EXPIRED"
AGENT = "FROM scratch\nCOPY sandbox-agent /sandbox-agent\nWORKDIR /workspace/project\nWORKDIR /tmp\n"
HANGS = f'FROM {AGENT_IMAGE}\nRUN ["/sandbox-agent", "--port", "8000"]\n'


def context(dockerfile, padding=0, **files):
    """A folder as the client packs it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        tar.add(STATIC_AGENT, "./sandbox-agent")
        for name, content in {"Dockerfile": dockerfile.encode(), "padding": os.urandom(padding),
                              **files}.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return base64.b64encode(out.getvalue())


def form(content, *names):
    boundary = "f2b0a4c0e1"
    parts = [(b'name="context"; filename="context.tar.gz"\r\nContent-Type: application/x-tar', content),
             (b'name="target_image"', names[0].encode()), *((b'name="tags"', name.encode()) for name in names[1:])]
    body = b"".join(b"--%s\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (boundary.encode(), head, data)
                    for head, data in parts)
    return body + f"--{boundary}--\r\n".encode(), {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def ask(docker, dockerfile, *names, headers=None, **options):
    body, its = form(context(dockerfile, **options), *names)
    return docker.post("/runtime-api/build", body=body, headers={**its, **(headers or {})}, timeout=30 * SLOWER)


def begin(docker, dockerfile, *names, **options):
    response = ask(docker, dockerfile, *names, **options)
    assert response.status == 200, f"{response}\n{docker.log()}"
    return response.json()["build_id"]


def status(docker, build_id, headers=None):
    response = docker.get(f"/runtime-api/build_status?build_id={build_id}", headers=headers)
    assert response.status == 200, response
    return response.json()


def wait_end(docker, build_id, headers=None):
    wait_until(lambda: status(docker, build_id, headers)["status"] in FINAL, 60 * SLOWER,
               what=f"the end of {status(docker, build_id, headers)}")
    return status(docker, build_id, headers)


def contexts(docker):
    return list((docker.directory / "state/builds").iterdir())


def wait_clean(docker):
    wait_until(lambda: not contexts(docker), what=f"no context to be left, and not {contexts(docker)}")


@pytest.fixture
def docker(make_docker):
    """Not started yet."""
    docker = make_docker()
    docker.config["runtime_api"] = {"enabled": True, "builds": True, "registry_prefix": "reg.example/built"}
    del docker.options["exposed_ports"]
    docker.write()
    return docker


def exists(docker, image):
    response = docker.get(f"/runtime-api/image_exists?image={quote(image)}", timeout=30 * SLOWER)
    assert response.status == 200, response
    return response.json()["exists"]


def test_an_image_is_built_and_started(docker, engine):
    docker.start()
    name = "reg.example/built/runtime:one"
    assert not exists(docker, name), "clients ask before they build; the registry of that name is nowhere"
    build = begin(docker, AGENT + 'LABEL a="b"\n', name, "reg.example/built/runtime:two", padding=3 << 20)
    end = wait_end(docker, build)
    assert end["status"] == "SUCCESS" and end["image"] == name and "error" not in end, end
    assert "Step 1/" in end["log_tail"] and "Successfully built" in end["log_tail"]
    assert exists(docker, name) and exists(docker, "reg.example/built/runtime:two")
    wait_clean(docker)
    body = {"image": "reg.example/built/runtime:two", "command": ["/sandbox-agent", "--port", "60000"],
            "session_id": "s"}
    response = docker.post("/runtime-api/start", body=json.dumps(body), timeout=20 * SLOWER)
    assert response.status == 200, f"{response}\n{docker.log()}"
    wait_until(lambda: docker.get("/runtime-api/sessions/s").json()["status"] == "running")
    docker.restart("kill")
    assert status(docker, build)["status"] == "SUCCESS", "it is remembered"
    for image in name, "reg.example/built/runtime:two":
        engine.remove_image(image)


@pytest.mark.parametrize("dockerfile, words", [
    ("FRO scratch\n", "unknown instruction"),
    (f'FROM {AGENT_IMAGE}\nRUN ["/no/such/program"]\n', "/no/such/program"),
    (f'FROM {AGENT_IMAGE}\nCOPY nothing /x\n', "nothing"),
])
def test_a_context_that_can_not_be_built_is_a_failure_with_the_engines_words(docker, dockerfile, words):
    docker.start()
    end = wait_end(docker, begin(docker, dockerfile, "reg.example/built/x:1"))
    assert end["status"] == "FAILURE" and end["error"].startswith("BUILD_FAILED: ") and words in end["error"], end
    wait_clean(docker)


def test_a_build_that_hangs_is_a_timeout(docker, engine):
    docker.config["runtime_api"]["build_timeout"] = f"{4 * SLOWER}s"
    docker.write()
    docker.start()
    build = begin(docker, HANGS, "reg.example/built/x:1")
    wait_until(lambda: status(docker, build)["progress"] and status(docker, build)["progress"].startswith("Step 2/2"))
    end = wait_end(docker, build)
    assert end["status"] == "TIMEOUT" and "build_timeout" in end["error"], end
    wait_clean(docker)
    wait_until(lambda: not build_containers(engine), what="its container to be gone")


def build_containers(engine):
    return [c for c in engine.ask("GET", "/containers/json") if not c["Names"][0].startswith("/sbx-")]


def test_a_full_disk_and_a_lost_engine_say_so(docker, proxy):
    docker.options["host"] = proxy.host
    docker.write()
    docker.start()
    full = b'{"stream":"Step 1/2 : FROM x\\n"}\n{"errorDetail":{"message":"write /x: no space left on device"}}\n'
    rule = proxy.rule("^POST /build", answer=answer_of(full))
    end = wait_end(docker, begin(docker, AGENT, "reg.example/built/x:1"))
    assert rule.applied
    assert end["status"] == "INTERNAL_ERROR" and end["error"].startswith("NO_SPACE: "), end
    assert "Step 1/2" in end["log_tail"]
    proxy.clear()
    build = begin(docker, HANGS, "reg.example/built/x:1")
    wait_until(lambda: status(docker, build)["progress"] and status(docker, build)["progress"].startswith("Step 2/2"))
    proxy.cut_all()
    end = wait_end(docker, build)
    assert end["status"] == "INTERNAL_ERROR" and "engine" in end["error"], end
    wait_clean(docker)


def test_a_daemon_that_ends_amid_a_build_says_so_afterwards(docker, engine):
    docker.start()
    for how, word in ("kill", "INTERNAL_ERROR"), ("stop", "CANCELLED"):
        build = begin(docker, HANGS, "reg.example/built/x:1")
        wait_until(lambda: (status(docker, build)["progress"] or "").startswith("Step 2/2"))  # noqa: B023
        assert contexts(docker)
        docker.restart(how)
        end = status(docker, build)
        assert end["status"] == word and "daemon" in end["error"], end
        wait_clean(docker)
        wait_until(lambda: not build_containers(engine), what="its container to be gone")


def test_builds_are_bounded_and_their_users_own(docker):
    keys = [{"user": user, "key": f"key-of-{user}-0123456789abcdef"} for user in ("alice", "bob")]
    docker.config["auth"] = {"keys": [*keys, {"user": "ops", "key": "key-of-ops-0123456789abcdef", "role": "admin"}]}
    docker.finish_headers = {"X-API-Key": "key-of-ops-0123456789abcdef"}
    docker.config["runtime_api"].update(max_builds=1, registry_prefix="reg.example/{user}")
    docker.write()
    alice, bob = ({"X-API-Key": key["key"]} for key in keys)
    docker.start()
    build = begin(docker, HANGS, "reg.example/alice/x:1", headers=alice)
    again = ask(docker, AGENT, "reg.example/alice/x:2", headers=alice)
    assert again.status == 429 and again.headers["Retry-After"] == "30", again
    assert ask(docker, AGENT, "reg.example/alice/y:1", headers=bob).status == 403
    assert docker.get(f"/runtime-api/build_status?build_id={build}", headers=bob).status == 404
    other = begin(docker, AGENT, "reg.example/bob/x:1", headers=bob)
    assert wait_end(docker, other, bob)["status"] == "SUCCESS"
    start = {"image": "reg.example/bob/x:1", "command": ["/sandbox-agent", "--port", "60000"], "session_id": "s"}
    assert docker.post("/runtime-api/start", body=json.dumps(start), headers=alice).status == 403
    assert docker.post("/runtime-api/start", body=json.dumps(start), headers=bob,
                       timeout=20 * SLOWER).status == 200
    assert docker.get("/runtime-api/registry_prefix", headers=bob).json() == {"registry_prefix": "reg.example/bob"}


def test_a_context_over_the_bound_and_a_client_that_leaves_leave_nothing(docker):
    docker.config["runtime_api"]["max_build_context"] = "1MiB"
    docker.write()
    docker.start()
    assert ask(docker, AGENT, "reg.example/built/x:1", padding=2 << 20).status == 413
    wait_clean(docker)
    body, headers = form(context(AGENT), "reg.example/built/x:1")
    head = "".join(f"{k}: {v}\r\n" for k, v in {**headers, "Content-Length": len(body), "Host": "a"}.items())
    docker.raw(f"POST /runtime-api/build HTTP/1.1\r\n{head}\r\n".encode() + body[:len(body) // 2], half_close=True)
    wait_clean(docker)


def test_a_disk_without_room_for_the_context_says_so(docker):
    docker.start()
    folder = docker.directory / "state/builds"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], check=True)
    try:
        response = ask(docker, AGENT, "reg.example/built/x:1", padding=3 << 20)
        assert response.status == 503 and response.json()["error"]["code"] == "NO_SPACE", response
        assert str(folder) in response.json()["detail"]
        wait_clean(docker)
    finally:
        subprocess.run(["umount", folder], check=True)
    assert wait_end(docker, begin(docker, AGENT, "reg.example/built/x:1"))["status"] == "SUCCESS"


@pytest.fixture(scope="module")
def registry():
    registry = Registry(auth=True)
    yield registry
    registry.finish()


def test_what_was_built_is_pushed_where_a_registry_is_configured(make_docker, engine, registry, tmp_path):
    prefix = f"127.0.0.1:{registry.port}/team"
    docker = make_docker(env={"DOCKER_CONFIG": str(tmp_path)})
    docker.config["runtime_api"] = {"enabled": True, "builds": True, "push": True, "registry_prefix": prefix}
    auth = base64.b64encode(f"{USER}:wrong".encode()).decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {f"127.0.0.1:{registry.port}": {"auth": auth}}}))
    docker.write()
    docker.start()
    end = wait_end(docker, begin(docker, AGENT, f"{prefix}/x:1"))
    assert end["status"] == "FAILURE" and end["error"].startswith("PUSH_DENIED: "), end
    assert "wrong" not in docker.log()
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {f"127.0.0.1:{registry.port}": {"auth": auth}}}))
    end = wait_end(docker, begin(docker, AGENT, f"{prefix}/x:1", f"{prefix}/x:2"))
    assert end["status"] == "SUCCESS", end
    for tag in "1", "2":
        engine.remove_image(f"{prefix}/x:{tag}")
        assert exists(docker, f"{prefix}/x:{tag}"), "the registry has it"


def test_many_builds_at_once_leave_the_daemon_answering(docker):
    docker.config["runtime_api"]["max_builds"] = 16
    docker.write()
    docker.start()
    body, headers = form(context(AGENT, padding=8 << 20), "reg.example/built/x:1")
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(docker.post(
        "/runtime-api/build", body=body, headers=headers, timeout=120).status)) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert docker.get("/health").status == 200
    assert answers == [200] * 4
    wait_clean(docker)
