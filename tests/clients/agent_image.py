"""An image of the published agent server, made on the spot of the environment's own root: the program, its entry point and
its user are where they are in OpenHands' image. No registry is asked."""

import os
import subprocess
import urllib.parse

import pytest

from docker_engine import UnixConnection

SERVER_IMAGE = "agent-server:test"
ROOT = os.environ.get("CLIENTS_IMAGE", "")  # as environment.sh made it
CHANGES = ('ENTRYPOINT ["/usr/local/bin/openhands-agent-server"]', "USER openhands", "WORKDIR /", "EXPOSE 8000",
           "ENV LITELLM_LOCAL_MODEL_COST_MAP=True", "ENV DO_NOT_TRACK=1", "ENV PYTHONDONTWRITEBYTECODE=1",
           "ENV OH_ENABLE_VSCODE=0", "ENV LANG=C.UTF-8")


def import_server_image(engine):
    """Once for an engine."""
    if not ROOT:
        pytest.skip("the container image is made of a Debian 13 root, and there is none (root rights and mmdebstrap)")
    if engine.call("GET", f"/images/{SERVER_IMAGE}/json").status == 200:
        return
    repository, _, tag = SERVER_IMAGE.rpartition(":")
    query = [("fromSrc", "-"), ("repo", repository), ("tag", tag), *(("changes", change) for change in CHANGES)]
    connection = UnixConnection(str(engine.socket), 300)
    with subprocess.Popen(["tar", "-C", ROOT, "--exclude=./opt/clients/app", "--exclude=./proc/*", "--exclude=./dev/*",
                           "--exclude=./root/.cache", "-c", "."], stdout=subprocess.PIPE) as tar:
        connection.request("POST", "/images/create?" + urllib.parse.urlencode(query), tar.stdout,
                           {"Content-Type": "application/x-tar"}, encode_chunked=True)
        answer = connection.getresponse()
        text = answer.read()
    connection.close()
    assert answer.status == 200 and b"error" not in text and tar.returncode == 0, text
