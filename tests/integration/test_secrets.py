"""The operator's secrets and models: who may read them, from files and the environment, and that they show nowhere else."""

import subprocess

import pytest

from harness import SANDBOXD, wait_until
KEYS = {"ann": "ann-secret-key-000001", "bob": "bob-secret-key-000002", "ops": "ops-secret-key-000003"}

ANN, BOB, OPS = ({"X-API-Key": KEYS[user]} for user in ("ann", "bob", "ops"))
VALUES = "hush-from-environment", "hush-from-file", "hush-model-key"
LINES = "-----BEGIN KEY-----\nhush-lines\n-----END KEY-----\n"


@pytest.fixture
def daemon(make_daemon):
    daemon = make_daemon(env={"HUSH": VALUES[0]})
    for name, text in ("secret", VALUES[1] + "\r\n"), ("lines", LINES), ("model", VALUES[2] + "\n"):
        file = daemon.directory / name
        file.write_bytes(text.encode())
        file.chmod(0o600)
    daemon.config["auth"] = {"keys": [{"user": user, "key": key, "role": "admin" if user == "ops" else "user"}
                                      for user, key in KEYS.items()]}
    daemon.config["secrets"] = [
        {"name": "GITHUB_TOKEN", "value": "${HUSH}", "description": "for pushes", "users": ["ann"]},
        {"name": "FILE", "value_file": str(daemon.directory / "secret"), "specs": ["age*"]},
        {"name": "LINES", "value_file": str(daemon.directory / "lines")}]
    daemon.config["llms"] = [{"model": "some/model", "base_url": "http://127.0.0.1:9/v1",
                              "api_key_file": str(daemon.directory / "model")}]
    daemon.write()
    daemon.finish_headers = OPS
    yield daemon.start()
    for hush in *VALUES, "hush-lines":
        assert hush not in daemon.log()


def session(sandbox):
    return {"X-Session-API-Key": sandbox["session_api_key"]}


def path(sandbox, name=None):
    return f"/api/v1/sandboxes/{sandbox['id']}/settings/secrets" + (f"/{name}" if name else "")


def test_secrets_are_read_with_the_sandboxs_own_key_while_it_runs(daemon):
    anns, bobs = (daemon.start_sandbox(headers=user) for user in (ANN, BOB))
    listed = daemon.get(path(anns), headers=session(anns))
    assert listed.status == 200 and listed.json() == {"secrets": [
        {"name": "GITHUB_TOKEN", "description": "for pushes"}, {"name": "FILE", "description": None},
        {"name": "LINES", "description": None}]}
    assert [item["name"] for item in daemon.get(path(bobs), headers=session(bobs)).json()["secrets"]] == ["FILE", "LINES"]
    for name, value in ("GITHUB_TOKEN", VALUES[0]), ("FILE", VALUES[1]), ("LINES", LINES):
        answer = daemon.get(path(anns, name), headers=session(anns))
        assert answer.status == 200 and answer.text == value
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    daemon.wait_log(f"sandbox={anns['id']}.*secret 'GITHUB_TOKEN' was read")

    assert daemon.get(path(bobs, "GITHUB_TOKEN"), headers=session(bobs)).json() == {"detail": "Secret not found"}
    answer = daemon.get(path(anns, "FILE"), headers=session(bobs))
    assert answer.status == 403 and answer.json() == {"detail": "Session API key does not match sandbox"}
    for headers in {}, ANN, OPS:
        answer = daemon.get(path(anns, "FILE"), headers=headers)
        assert answer.status == 401 and answer.json() == {"detail": "X-Session-API-Key header is required"}
    daemon.act("pause", anns["id"], headers=ANN)
    daemon.wait_status(anns["id"], "PAUSED", headers=ANN)
    answer = daemon.get(path(anns, "FILE"), headers=session(anns))
    assert answer.status == 401 and answer.json() == {"detail": "Sandbox is not running"}


def test_a_reload_reads_files_anew(daemon):
    sandbox = daemon.start_sandbox(headers=BOB)
    (daemon.directory / "secret").write_text("hush-from-file-anew")
    daemon.reload()
    wait_until(lambda: daemon.get(path(sandbox, "FILE"), headers=session(sandbox)).text == "hush-from-file-anew")


def test_a_model_and_its_key(daemon):
    sandbox = daemon.start_sandbox(headers=ANN)
    me = daemon.get("/api/v1/users/me", headers=ANN).json()
    assert (me["id"], me["llm_model"], me["llm_api_key"]) == ("ann", "some/model", "**********")
    assert me["mcp_config"] is None
    both = {**ANN, **session(sandbox)}
    me = daemon.get("/api/v1/users/me?expose_secrets=true", headers=both).json()
    assert (me["llm_api_key"], me["llm_base_url"]) == (VALUES[2], "http://127.0.0.1:9/v1")
    for headers, status in (ANN, 401), (session(sandbox), 401), ({**BOB, **session(sandbox)}, 403):
        answer = daemon.get("/api/v1/users/me?expose_secrets=true", headers=headers)
        assert answer.status == status and VALUES[2] not in answer.text


def test_check_shows_no_value_and_warns_of_a_readable_file(daemon):
    (daemon.directory / "secret").chmod(0o644)
    daemon.config["secrets"].append({"name": "A", "value": ["hush-in-a-list"]})
    daemon.config["secrets"].append({"name": "B", "vale": VALUES[0]})
    daemon.write()
    answer = subprocess.run([SANDBOXD, "--config", daemon.config_file, "--check"], env=daemon.env, text=True,
                            capture_output=True, check=False)
    assert answer.returncode == 1 and "hush" not in answer.stdout + answer.stderr
    assert "secrets[1].value_file: every user of this machine can read the file" in answer.stderr
