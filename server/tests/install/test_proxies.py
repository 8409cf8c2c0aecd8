"""The proxies of the operator's page pass on what should be, over TLS, and `/metrics` to nobody.

The code is the page's own; ports, certificates and the log's place are the test's.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import getpass
import http.client
import json
import re
import socket
import ssl
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from support.needed import needed_program
from support.ports import free_port
from support.server_fixture import Server, eventually, serving
from tidy.sources import ROOT

OPERATIONS = (ROOT / "docs/operations.md").read_text("utf-8")
TRACK, USAGE = "track.example.com", "usage.example.com"
# How somebody may ask for it: a proxy that compares text alone would let some of these through.
METRICS = ("/metrics", "/metrics/", "//metrics", "/%6detrics", "/./metrics", "/page/../metrics",
           "/metrics?x=1", "/METRICS")  # fmt: skip


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def documented(language: str) -> str:
    (code,) = re.findall(rf"^```{language}\n(.*?)^```", OPERATIONS, re.M | re.S)
    return str(code)


def certified(folder: Path) -> tuple[Path, Path]:
    """A certificate for both names that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, TRACK)])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(TRACK), x509.DNSName(USAGE)])
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    chain, secret = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return chain, secret


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("behind"), "--workers", "1") as server:
        yield server


def with_upstreams(code: str, server: Server) -> str:
    for documented_port, url in ((8080, server.tracking), (8081, server.api)):
        assert f"127.0.0.1:{documented_port}" in code
        code = code.replace(f"127.0.0.1:{documented_port}", urlsplit(url).netloc)
    return code


@contextlib.contextmanager
def running(command: list[str], folder: Path, port: int) -> Iterator[None]:
    said = folder / "said"
    with (
        said.open("wb") as output,
        subprocess.Popen(command, cwd=folder, stdout=output, stderr=output,
                         env={"HOME": str(folder), "PATH": "/usr/bin:/bin"}) as process,
    ):  # fmt: skip

        def listens() -> bool:
            assert process.poll() is None, said.read_text()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True
            return False

        try:
            eventually(listens, " ".join(command))
            yield
        finally:
            process.terminate()
            process.wait()


@contextlib.contextmanager
def nginx(folder: Path, server: Server) -> Iterator[int]:
    program = needed_program("nginx", "apt-get install nginx-light")
    chain, key = certified(folder)
    port = free_port()
    code = with_upstreams(documented("nginx"), server)
    live = "/etc/letsencrypt/live/example.com"
    for words, own in (
        (f"{live}/fullchain.pem", str(chain)), (f"{live}/privkey.pem", str(key)),
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/var/log/nginx/headcount.log", str(folder / "access.log")),
    ):  # fmt: skip
        assert words in code
        code = code.replace(words, own)
    (folder / "headcount.conf").write_text(code)
    places = "".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = folder / "nginx.conf"
    whole.write_text(
        # Its own workers may write where the test may.
        f"user {getpass.getuser()}; daemon off; pid {folder}/pid; error_log stderr;"
        f"worker_processes 1; events {{}} http {{ {places} include {folder}/headcount.conf; }}"
    )
    command = [program, "-p", str(folder), "-c", str(whole), "-e", "stderr"]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert "test is successful" in checked.stderr
    assert "[warn]" not in checked.stderr.replace('[warn] the "user" directive', "")
    with running(command, folder, port):
        yield port


@contextlib.contextmanager
def caddy(folder: Path, server: Server) -> Iterator[int]:
    program = needed_program("caddy", "apt-get install caddy")
    chain, key = certified(folder)
    port = free_port()
    code = with_upstreams(documented("caddyfile"), server)
    for name in (TRACK, USAGE):
        assert f"{name} {{\n" in code
        code = code.replace(f"{name} {{\n", f"{name} {{\n    tls {chain} {key}\n")
    options = ("admin off", "auto_https disable_redirects", f"https_port {port}",
               "default_bind 127.0.0.1")  # fmt: skip
    whole = "\n".join(("{", *options, "}", code))
    (folder / "Caddyfile").write_text(whole)
    command = [program, "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]
    with running(command, folder, port):
        yield port


@pytest.fixture(params=[nginx, caddy], ids=["nginx", "Caddy"])
def ask(
    request: pytest.FixtureRequest, server: Server, tmp_path: Path
) -> Iterator[Callable[..., Answer]]:
    """`ask(host, method, path, body, **headers)` over TLS, at the proxy; the answer is read."""
    with request.param(tmp_path, server) as port, contextlib.ExitStack() as stack:
        trust = ssl.create_default_context(cafile=str(tmp_path / "chain.pem"))

        def asked(host: str, method: str, path: str, body: Any = None, **headers: str) -> Answer:
            connection = stack.enter_context(
                contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30))
            )
            plain = socket.create_connection(("127.0.0.1", port), 30)
            connection.sock = trust.wrap_socket(plain, server_hostname=host)
            named = {"Host": host} | {k.replace("_", "-"): v for k, v in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            told = {name.lower(): text for name, text in answer.getheaders()}
            return Answer(answer.status, told, answer.read())

        yield asked


def test_what_should_pass_passes_and_metrics_do_not(
    ask: Callable[..., Answer], server: Server, request: pytest.FixtureRequest
) -> None:
    shop = server.shop(request.node.name, "web")
    key, token = shop.write_keys["web"], shop.token
    basic = base64.b64encode(f"{key}:".encode()).decode()
    message = json.dumps({"type": "track", "event": "Seen", "userId": "u"}).encode()
    posted = ask(TRACK, "POST", "/v1/track", message, Authorization=f"Basic {basic}")
    assert (posted.status, json.loads(posted.body)) == (200, {"success": True})
    shop.wait_until_counted()
    usage = ask(USAGE, "GET", f"/usage/mtu/daily?period={shop.month()}",
                Authorization=f"Bearer {token}")  # fmt: skip
    assert json.loads(usage.body)["data"]["dailyWorkspaceMTUUsage"][-1]["identified"] == "1"

    for host in (USAGE, TRACK):
        for path in METRICS:
            answer = ask(host, "GET", path)
            assert answer.status in (400, 404), (host, path)
            assert b"headcount_" not in answer.body, (host, path)
    assert b"headcount_" in server.ask("/metrics").body

    # analytics.js is told the address that it came by, and the page knows its own form.
    settings = json.loads(ask(TRACK, "GET", f"/v1/projects/{key}/settings").body)
    assert settings["integrations"]["Segment.io"]["apiHost"] == f"{TRACK}/v1"
    form = urlencode({"token": token}).encode()
    signed = ask(USAGE, "POST", "/page/sign-in", form, Origin=f"https://{USAGE}",
                 Content_Type="application/x-www-form-urlencoded")  # fmt: skip
    assert signed.status in (200, 303), signed.body
    assert "Secure" in signed.headers.get("set-cookie", "")
    foreign = ask(USAGE, "POST", "/page/sign-in", form, Origin="https://elsewhere.example",
                  Content_Type="application/x-www-form-urlencoded")  # fmt: skip
    assert foreign.status == 403

    larger = ask(TRACK, "POST", "/v1/batch", b" " * 6_000_000, Authorization=f"Basic {basic}")
    assert larger.status in (400, 413)


# Each many times, while everything else of the machine is busy: a race shows only then.
AT_ONCE, TIMES = 4, 24
LARGE = b" " * 6_000_000
FORM = b"x" * 900_000


def in_parts(body: bytes) -> Iterator[bytes]:
    """The body as a client sends it that does not know its length."""
    return (body[at : at + 65536] for at in range(0, len(body), 65536))


@pytest.mark.parametrize("framing", ["declared", "chunked"])
@pytest.mark.parametrize(
    ("host", "path", "body"), [(TRACK, "/v1/batch", LARGE), (USAGE, "/page/sign-in", FORM)]
)
def test_what_is_too_large_is_refused_and_never_a_502(
    ask: Callable[..., Answer],
    server: Server,
    request: pytest.FixtureRequest,
    host: str,
    path: str,
    body: bytes,
    framing: str,
) -> None:
    """Clients drop what a 400 or 413 refuses, and send again for ever what a 502 does."""
    key = server.shop(request.node.name, "web").write_keys["web"]
    basic = base64.b64encode(f"{key}:".encode()).decode()

    def refused(_: int) -> int:
        sent = body if framing == "declared" else in_parts(body)
        return ask(host, "POST", path, sent, Authorization=f"Basic {basic}").status

    with ThreadPoolExecutor(AT_ONCE) as threads:
        statuses = Counter(threads.map(refused, range(TIMES)))
    # A machine that is very busy says 503 to a body that stops meanwhile, which is true of it.
    assert set(statuses) <= {400, 413, 503}, statuses
    assert statuses[503] <= TIMES // 4, statuses


def test_nginx_writes_no_query_string_down(server: Server, tmp_path: Path) -> None:
    with nginx(tmp_path, server) as port:
        trust = ssl.create_default_context(cafile=str(tmp_path / "chain.pem"))
        with trust.wrap_socket(
            socket.create_connection(("127.0.0.1", port)), server_hostname=TRACK
        ) as connection:
            connection.sendall(
                f"GET /v1/pixel/track?data=SECRET HTTP/1.0\r\nHost: {TRACK}\r\n\r\n".encode()
            )
            assert connection.recv(12).startswith(b"HTTP/1.1 ")
            while connection.recv(65536):
                pass
    lines = (tmp_path / "access.log").read_text()
    assert f"GET {TRACK}/v1/pixel/track " in lines
    assert "SECRET" not in lines
