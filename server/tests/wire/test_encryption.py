"""TLS on both addresses: real certificates, real handshakes, and clients that make none."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import struct
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3
import uvloop
from cryptography.hazmat.primitives import serialization

from headcount.clock import now_ms
from headcount.http.certificates import Certificates
from headcount.http.handshakes import TlsListener
from sdk_tls import self_signed
from support.program import PROGRAM, Program, environment
from support.server_fixture import Server, eventually, serving


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that speaks TLS, and whose `http` knows whom to trust."""
    certificate, key = self_signed(tmp_path)
    options = ("--workers", "1", "--tls-cert", str(certificate), "--tls-key", str(key))
    with serving(tmp_path, *options) as server:
        server.http = urllib3.PoolManager(ca_certs=str(certificate), retries=False, timeout=60)
        yield server


def connected(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), 60)


def certificate_of(url: str) -> bytes:
    """What a server shows to whoever connects now."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with connected(url) as sock, context.wrap_socket(sock) as shown:
        return shown.getpeercert(binary_form=True) or b""


def test_both_addresses_speak_it_and_say_so(server: Server, tmp_path: Path) -> None:
    assert server.tracking.startswith("https://127.0.0.1:")
    assert server.api.startswith("https://127.0.0.1:")
    shop = server.shop("Shop", "web")
    assert server.track("/v1/track", {"event": "x", "userId": "u"}, shop.write_keys["web"]).status
    shop.wait_until_counted()
    document = server.send(
        "GET", f"{server.tracking}/v1/projects/{shop.write_keys['web']}/settings"
    )
    assert document.json()["integrations"]["Segment.io"]["protocol"] == "https"
    # Commands find the server by its folder, and trust whom the environment says.
    done = server.program.run(
        "usage", "--last", "--json",
        HEADCOUNT_TOKEN=shop.token, SSL_CERT_FILE=str(tmp_path / "cert.pem"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '"mtu": 1' in done.stdout


def test_old_versions_are_refused_and_new_ones_are_not(server: Server) -> None:
    for url in (server.tracking, server.api):
        for version, fine in (("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            with pytest.warns(DeprecationWarning, match="TLSv1_1") if not fine else ExitStack():
                context.maximum_version = ssl.TLSVersion[version]
            with connected(url) as sock:
                if not fine:
                    with pytest.raises(ssl.SSLError):
                        context.wrap_socket(sock)
                    continue
                with context.wrap_socket(sock) as shown:
                    assert shown.version() == version.replace("_", ".")


def test_a_renewed_pair_is_taken_up_and_a_broken_one_is_not(server: Server, tmp_path: Path) -> None:
    urls = (server.tracking, server.api)
    former = certificate_of(server.api)
    assert [certificate_of(url) for url in urls] == [former, former]
    with ExitStack() as kept:
        # A connection from before goes on.
        context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        sock = kept.enter_context(connected(server.api))
        old = kept.enter_context(context.wrap_socket(sock, server_hostname="usage.example"))
        # As a tool that renews does it: whole files under other names first.
        for file in self_signed(tmp_path, days=300, before="next-"):
            file.replace(tmp_path / file.name.removeprefix("next-"))
        server.process.send_signal(signal.SIGHUP)
        for url in urls:
            eventually(lambda url=url: certificate_of(url) != former, "the new certificate")
        renewed = certificate_of(server.api)
        assert certificate_of(server.tracking) == renewed
        old.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert old.recv(15) == b"HTTP/1.1 200 OK"
    (tmp_path / "cert.pem").write_text("no certificate")
    eventually(lambda: any("stays in use" in line for line in server.log), "a word about the pair")
    server.http = urllib3.PoolManager(cert_reqs="CERT_NONE", assert_hostname=False, retries=False)
    with pytest.warns(urllib3.exceptions.InsecureRequestWarning):
        told = server.ask("/metrics").body.decode()
    assert 'headcount_trouble{kind="tls"} 1.0' in told
    assert [certificate_of(url) for url in urls] == [renewed, renewed]
    self_signed(tmp_path, days=300)
    for url in urls:
        eventually(lambda url=url: certificate_of(url) != renewed, "the pair after the broken one")
    eventually(lambda: any("over after" in line for line in server.log), "the end of it")
    assert sum("stays in use" in line for line in server.log) <= 2, "said once, not every second"


def test_clients_that_fail_to_greet_are_no_errors(server: Server) -> None:
    hello = bytes.fromhex("16030100050100000100")
    before = len(server.log)
    for url in (server.tracking, server.api):
        for words in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100, hello, b"SSH-2.0-x\r\n"):
            for reset in (False, True):
                with connected(url) as sock:
                    sock.sendall(words)
                    if reset:
                        linger = struct.pack("ii", 1, 0)
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        # One that says no more is not waited for.
        with connected(url) as silent:
            assert silent.recv(1) == b""
        # And one that goes as soon as it is greeted.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with connected(url) as sock:
            context.wrap_socket(sock).close()
        assert server.send("GET", f"{url}/healthz").status == 200
    told = server.ask("/metrics").body.decode()
    for address in ("tracking", "api"):
        assert f'dropped_total{{address="{address}",why="handshake"}}' in told
    assert server.log[before:] == []


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_the_oldest_handshake_makes_room(tmp_path: Path, loop: Any) -> None:
    certificates = Certificates(*self_signed(tmp_path), None, now_ms)

    class Echo(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            self.transport.write(data)

    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            listener = TlsListener(sock, certificates, Echo, "tracking", 2)
            place = sock.getsockname()
            silent = [await asyncio.open_connection(*place) for _ in range(2)]
            context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
            for _ in range(3):
                silent.append(await asyncio.open_connection(*place))
                reader, writer = await asyncio.open_connection(
                    *place, ssl=context, server_hostname="usage.example"
                )
                writer.write(b"hello")
                assert await reader.readexactly(5) == b"hello"
                writer.transport.abort()
            # All but the last have been hung up on.
            for reader, _ in silent[:-1]:
                assert await reader.read() == b""
            listener.close()
            await listener.wait_closed()
            for reader, writer in silent:
                assert await reader.read() == b""
                writer.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(asyncio.wait_for(run(), 60))


def test_a_pair_that_cannot_be_used_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    others = tmp_path / "others"
    others.mkdir()
    _, other_key = self_signed(others)
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        serialization.load_pem_private_key(key.read_bytes(), None).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    text = tmp_path / "text.pem"
    text.write_text("no PEM")
    program = Program(tmp_path / "data", tmp_path)

    def refused(*options: str) -> str:
        done = program.run("serve", "--tracking", "0.0.0.0:0", "--api", "127.0.0.1:0", *options)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        [line] = done.stderr.splitlines()
        return line

    for pair, words in (
        ((certificate, other_key), "do not belong together"),
        ((tmp_path / "none", key), "none: No such file"),
        ((certificate, tmp_path), "Is a directory"),
        ((text, key), "no PEM"),
        ((certificate, text), "no PEM"),
        ((certificate, locked), "protected by a password"),
    ):
        said = refused("--tls-cert", str(pair[0]), "--tls-key", str(pair[1]))
        assert "cannot be used" in said
        assert words in said
    assert "only one is given" in refused("--tls-cert", str(certificate))
    assert not program.data.exists()


@pytest.mark.parametrize("days", [0.2, 13, -0.5])
def test_an_end_that_is_near_is_said(tmp_path: Path, days: float) -> None:
    from headcount.troubles import Troubles

    troubles = Troubles(None, "api", now_ms)
    certificates = Certificates(*self_signed(tmp_path, days=days), troubles, now_ms)
    for _ in range(3):
        certificates.look()
    if days == 13:
        # Of 14 days a quarter is near; of those that hold for months it is two weeks.
        assert troubles.now() == []
        return
    [trouble] = troubles.now()
    assert ("has expired" if days < 0 else "expires soon") in trouble.message
    assert (trouble.hinders, trouble.times) == (False, 1)
    self_signed(tmp_path, days=100)
    certificates.look()
    assert troubles.now() == []


@pytest.mark.parametrize(
    ("options", "refused"),
    [
        (("--tracking", "0.0.0.0:0"), True),
        (("--tracking", "[::]:0"), True),
        (("--api", "0.0.0.0:0"), True),
        (("--api", f"{socket.gethostname()}:0"), None),
        (("--tracking", "localhost:0"), False),
        (("--tracking", "127.9.9.9:0"), False),
        (("--tracking", "0.0.0.0:0", "--allow-http"), False),
        (("--tracking", "0.0.0.0:0", "--trusted-proxies", "10.0.0.0/8"), False),
    ],
)
def test_plain_http_for_other_machines_has_to_be_meant(
    tmp_path: Path, options: tuple[str, ...], refused: bool | None
) -> None:
    given = {"--tracking": "127.0.0.1:0", "--api": "127.0.0.1:0"}
    name, address, *rest = options
    given[name] = address
    with subprocess.Popen(
        [*PROGRAM, "serve", "--workers", "1", *sum(given.items(), ()), *rest],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        env=environment(HEADCOUNT_DATA=str(tmp_path / "data")),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        if first:
            assert not refused
            process.send_signal(signal.SIGTERM)
            assert process.wait() == 0
            return
        assert refused in (True, None)
        [line] = process.stderr.readlines()
        assert process.wait() == 2
    for remedy in ("--tls-cert", "--trusted-proxies", "--allow-http"):
        assert remedy in line
    assert not (tmp_path / "data").exists()


def test_a_variable_and_the_file_say_it_too(tmp_path: Path) -> None:
    for environ, toml in (({"HEADCOUNT_ALLOW_HTTP": "1"}, ""), ({}, "allow_http = true\n")):
        folder = tmp_path / f"x{len(toml)}"
        folder.mkdir()
        (folder / "headcount.toml").write_text(f'tracking = "0.0.0.0:0"\n{toml}')
        with serving(folder, "--tracking", "0.0.0.0:0", "--workers", "1", **environ) as server:
            assert server.send("GET", f"{server.tracking}/healthz").status == 200


def test_only_trusted_proxies_say_how_a_browser_came(tmp_path: Path) -> None:
    for trusted, believed in ((None, True), ("127.0.0.0/8", True), ("10.0.0.5", False)):
        folder = tmp_path / f"{trusted}".replace("/", "-")
        folder.mkdir()
        options = () if trusted is None else ("--trusted-proxies", trusted)
        # Uvicorn's own variable means nothing here.
        with serving(folder, "--workers", "1", *options, FORWARDED_ALLOW_IPS="*") as server:
            shop = server.shop("Shop", "web")
            said = server.send(
                "GET", f"{server.tracking}/v1/projects/{shop.write_keys['web']}/settings",
                X_Forwarded_Proto="https",
            )  # fmt: skip
            destination = said.json()["integrations"]["Segment.io"]
            assert destination["protocol"] == ("https" if believed else "http")
            page = server.http.request(
                "POST", f"{server.api}/page/sign-in", fields={"token": shop.token}, redirect=False,
                encode_multipart=False, headers={"X-Forwarded-Proto": "https"},
            )  # fmt: skip
            cookie = page.headers.get("Set-Cookie", "")
            assert ("; secure" in cookie.lower()) == believed, (page.status, cookie)


def test_descriptors_are_given_back(server: Server) -> None:
    """A thousand failed handshakes leave as many open descriptors as none."""
    [worker] = server.children("intake")
    with connected(server.tracking) as sock:
        sock.sendall(b"no TLS")
        sock.recv(100)
    before = worker.num_fds()
    for _ in range(1000):
        with connected(server.tracking) as sock:
            sock.sendall(b"no TLS at all")
    eventually(lambda: worker.num_fds() <= before + 2, "descriptors to be given back")
