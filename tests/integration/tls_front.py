"""What stands before a server of the tests and speaks TLS for it: an nginx with a certificate of its own."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from harness import free_port, wait_until


def certificate(directory, name):
    """A certificate for this machine that is its own authority, and its key."""
    cert, key = directory / f"{name}.pem", directory / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    return cert, key


class TlsFront:
    """Passes what comes at https://127.0.0.1:port on to `upstream`, as nginx's proxy_pass names it. With `client_ca`
    only those who show a certificate of it."""

    def __init__(self, upstream, http2=False, client_ca=None):
        program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
        if not program:
            pytest.skip("there is no nginx (Debian: nginx-light)")
        self.directory = home = Path(tempfile.mkdtemp(prefix="sandboxd-tls-"))
        self.port = free_port()
        self.log = home / "requests"
        self.ca, key = certificate(home, "front")
        verify = f"ssl_verify_client on; ssl_client_certificate {client_ca};" if client_ca else ""
        temporary = " ".join(f"{kind}_temp_path {home}/{kind};"
                             for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (home / "nginx.conf").write_text(f"""
            worker_processes 1; daemon off; pid {home}/pid; error_log {home}/errors; user root;
            events {{ worker_connections 256; }}
            http {{
                {temporary}
                log_format one '$server_protocol $connection $status $request_method $uri';
                access_log {self.log} one;
                server {{
                    listen 127.0.0.1:{self.port} ssl{" http2" if http2 else ""};
                    ssl_certificate {self.ca}; ssl_certificate_key {key}; {verify}
                    location / {{
                        proxy_pass {upstream}; proxy_http_version 1.1; proxy_buffering off;
                        proxy_request_buffering off; proxy_read_timeout 1h; client_max_body_size 0;
                    }}
                }}
            }}""")
        self.process = subprocess.Popen([program, "-c", home / "nginx.conf", "-p", home], stderr=subprocess.DEVNULL)
        wait_until(lambda: (home / "pid").exists() and (home / "pid").read_text(), what="nginx")

    def requests(self):
        """(protocol, number of its connection, status) of each request that has been answered."""
        return [tuple(line.split()[:3]) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def close(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.directory)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
