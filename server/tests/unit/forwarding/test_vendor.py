"""What a vendor's answers mean, and which addresses may be named by whom."""

from __future__ import annotations

import email.utils

import pytest

from headcount.errors import UsageError
from headcount.forwarding.vendor import DeliveryVerdict, Vendor, retry_after_s, verdict_of
from headcount.forwarding_targets import is_public, target_url
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


def test_retry_after_is_seconds_or_a_date() -> None:
    assert retry_after_s("7", 0) == 7
    assert retry_after_s(email.utils.formatdate(1000, usegmt=True), 940) == 60
    assert retry_after_s(email.utils.formatdate(1000, usegmt=True), 2000) == 0
    for nonsense in (None, "", "soon", "-3", "9" * 30, "Mon, 99 Foo"):
        assert retry_after_s(nonsense, 0) is None


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


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.9.9", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "224.0.0.1", "::1", "fe80::1%eth0", "fd00::1", "::ffff:10.0.0.1",
        "64:ff9b::a00:1", "2002:a00:1::", "nonsense",
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
    assert target_url("https://1.1.1.1", by_token=True) == "https://1.1.1.1"
    for none in ("ftp://x", "", "nowhere", "https://u@x.example", "https://x:99999"):
        with pytest.raises(UsageError):
            target_url(none, by_token=False)
