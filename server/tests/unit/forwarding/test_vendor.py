"""What a vendor's answers mean, and which addresses may be named by whom."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from headcount.errors import UsageError
from headcount.forwarding.vendor import DeliveryVerdict, Vendor, verdict_of
from headcount.forwarding_targets import is_public, target_url
from segment_public_api import Configuration
from support.scripted_vendor import Doing, scripted_vendor


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        ((200, 202, 204), DeliveryVerdict.DELIVERED),
        ((400, 401, 403, 404, 413, 422), DeliveryVerdict.REFUSED),
        ((None, 301, 302, 307, 408, 425, 429, 500, 502, 503, 599), DeliveryVerdict.AGAIN),
    ],
)
def test_statuses(statuses: tuple[int | None, ...], verdict: DeliveryVerdict) -> None:
    assert {verdict_of(status) for status in statuses} == {verdict}


@pytest.mark.parametrize(
    ("doing", "status"),
    [
        (Doing(), 200),
        (Doing(503), 503),
        (Doing(302, headers=(("Location", "http://127.0.0.1:1/"),)), 302),
        (Doing(reset=True), None),
        (Doing(0), None),
    ],
)
def test_whatever_it_does_is_an_answer(doing: Doing, status: int | None) -> None:
    with scripted_vendor(lambda _: doing) as listening:
        vendor = Vendor(listening.url, "their-key", by_token=False)
        for _ in range(2):
            answer = vendor.post("/v1/track", b'{"messageId":"m"}')
            assert answer.status == status
            assert "their-key" not in answer.said
        vendor.close()
        assert [each.write_key for each in listening.came] == ["their-key"] * 2
    vendor = Vendor(listening.url, "their-key", by_token=False)
    gone = vendor.post("/v1/track", b"{}")
    assert gone.status is None
    assert "reached" in gone.said
    vendor.close()


@contextmanager
def speaking(*parts: tuple[float, bytes]) -> Iterator[str]:
    """An address where each request gets these bytes, each after so many seconds."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection, contextlib.suppress(OSError):
                        while connection.recv(65536):
                            for after_s, part in parts:
                                time.sleep(after_s)
                                connection.sendall(part)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(5)


_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize("status", [b"102 Processing", b"103 Early Hints", b"100 Continue"])
def test_an_answer_before_the_answer_is_not_taken_for_it(status: bytes) -> None:
    """Else the answer itself would be read as that of the next request."""
    hints = b"HTTP/1.1 " + status + b"\r\nLink: </x>\r\n\r\n"
    with speaking((0, hints), (0.2, hints), (0.2, _OK)) as url:
        vendor = Vendor(url, "k", by_token=False)
        assert [vendor.post("/v1/track", b"{}").status for _ in range(2)] == [200, 200]
        vendor.close()


@pytest.mark.parametrize(
    "parts",
    [
        [(0.0, b"HTTP/1.1 200 OK\r\n"), *[(0.05, b"X: y\r\n")] * 60],
        [(0.05, b"HTTP/1.1 100 Continue\r\n\r\n")] * 60,
        [(0.0, b"HTTP/1.1 103 Hints\r\n\r\n")] * 60,
    ],
)
def test_an_answer_that_trickles_or_never_begins_is_none(
    parts: list[tuple[float, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headcount.outgoing_connections.ANSWER_WITHIN_S", 0.5)
    with speaking(*parts, (0, _OK)) as url:
        vendor = Vendor(url, "k", by_token=False)
        assert vendor.post("/v1/track", b"{}").status is None
        vendor.close()


def test_broken_headers_are_no_trace_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    Configuration()  # of the usage client, which sets the level of what urllib3 says
    with speaking((0, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nno header\r\n\r\n{}")) as url:
        vendor = Vendor(url, "k", by_token=False)
        vendor.post("/v1/track", b"{}")
        vendor.close()
    assert not caplog.records


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.9.9", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "224.0.0.1", "::1", "fe80::1%eth0", "fd00::1", "::ffff:10.0.0.1",
        "64:ff9b::a00:1", "2002:a00:1::", "nonsense", "::10.0.0.1", "fec0::1", "64:ff9b:1::a00:1",
        "::ffff:0:10.0.0.1", "2001:0:a00:1::", "5f00::1",
    ],
)  # fmt: skip
def test_addresses_of_private_networks(address: str) -> None:
    assert not is_public(address)


def test_public_addresses() -> None:
    assert is_public("1.1.1.1")
    assert is_public("2606:4700:4700::1111")
    assert is_public("64:ff9b::101:101")


def test_the_operator_may_name_any_address_and_a_token_only_public_ones() -> None:
    assert target_url("segment", by_token=False) == "https://api.segment.io"
    assert target_url("http://127.0.0.1:9/x/", by_token=False) == "http://127.0.0.1:9/x"
    for private in ("https://127.0.0.1", "https://[::1]:8", "https://10.0.0.1/x", "http://1.1.1.1"):
        with pytest.raises(UsageError, match=r"private|https"):
            target_url(private, by_token=True)
    for nobody in ("https://a..b", f"https://{'a' * 64}.example"):
        with pytest.raises(UsageError, match="no name"):
            target_url(nobody, by_token=True)
    assert target_url("https://1.1.1.1", by_token=True) == "https://1.1.1.1"
    for none in ("ftp://x", "", "nowhere", "https://u@x.example", "https://x:99999"):
        with pytest.raises(UsageError):
            target_url(none, by_token=False)
